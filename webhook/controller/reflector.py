"""A reflector: keeps an index like the API server's, by a list and then watches for ever.

It survives whatever happens in between: a version too old to watch from (410), a restarted API server, a
connection that is cut, too many requests (429). Between attempts it waits, longer each time, with jitter, so
that many replicas do not come back at the same moment.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

import msgspec

from webhook.controller.metrics import Metrics
from webhook.controller.waits import Waits
from webhook.daemon.log import LogLine
from webhook.kube.api import CONNECTION_ERRORS, Api, ApiError, Kind, Metadata, Partial, in_words

_PAUSE_SECONDS = 0.2  # a proxy that ends every watch at once must not be hammered


class Index(Protocol):
    """What a reflector feeds."""

    def replace(self, items: Iterable[Metadata]) -> None:
        """These are all."""

    def upsert(self, item: Metadata) -> None:
        """This one is new, or changed."""

    def remove(self, item: Metadata) -> None:
        """This one has gone."""


class Both:
    """Two indexes that are fed with the same objects."""

    def __init__(self, first: Index, second: Index) -> None:
        self._indexes = (first, second)

    def replace(self, items: Iterable[Metadata]) -> None:
        """These are all."""
        listed = list(items)
        for index in self._indexes:
            index.replace(listed)

    def upsert(self, item: Metadata) -> None:
        """This one is new, or changed."""
        for index in self._indexes:
            index.upsert(item)

    def remove(self, item: Metadata) -> None:
        """This one has gone."""
        for index in self._indexes:
            index.remove(item)


class Watcher(ABC):
    """Watches objects of one kind, whatever happens."""

    def __init__(self, api: Api, kind: Kind, metrics: Metrics, log: LogLine) -> None:
        self._api, self._kind, self._metrics, self._log = api, kind, metrics, log
        self._version = ""
        self._waits = Waits()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._waits.reset()
                await asyncio.sleep(_PAUSE_SECONDS)
            except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError) as error:
                if isinstance(error, ApiError) and error.status == HTTPStatus.GONE:
                    self._version = ""
                self._metrics.watch_restarts.inc()
                seconds = self._waits.after(error)
                self._log(
                    "watch interrupted",
                    level="warning",
                    kind=self._kind.name,
                    error=in_words(error),
                    seconds=seconds,
                )
                await asyncio.sleep(seconds)

    @abstractmethod
    async def _list(self) -> None:
        """Find out from which version to watch."""

    @abstractmethod
    async def _watch(self) -> None:
        """Take in the changes of one watch, and move the version on."""


class Reflector(Watcher):
    """Feeds one index with the objects of one kind that have some labels."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self, api: Api, kind: Kind, selector: str, index: Index, metrics: Metrics, log: LogLine
    ) -> None:
        super().__init__(api, kind, metrics, log)
        self._selector, self._index = selector, index
        self.synced = asyncio.Event()
        """Set when the index is complete for the first time."""

    async def _list(self) -> None:
        items, version = await self._api.list(self._kind, self._selector)
        self._index.replace(item.metadata for item in items)
        self._version = version
        self.synced.set()

    async def _watch(self) -> None:
        changes = self._api.watch(self._kind, Partial, self._version, labelSelector=self._selector)
        async for change, item in changes:
            if change == "DELETED":
                self._index.remove(item.metadata)
            elif change != "BOOKMARK":
                self._index.upsert(item.metadata)
            self._version = item.metadata.resource_version
            self._waits.reset()  # not with a list: where no watch lasts, lists would follow each other
