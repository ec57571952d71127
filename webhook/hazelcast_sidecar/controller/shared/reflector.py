"""A reflector, which keeps an index in sync with the API server by a list and then watches.

It survives any failure: a version too old to watch from (410), a restarted API server, a broken connection,
too many requests (429). Between attempts it waits, longer each time, with jitter, so that many replicas do
not retry at the same moment.

Every ten minutes or so it lists again: a second line of defence, for a change that was misunderstood, or lost
by a bug of ours. That takes a page at a time, and the index always has what still exists.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import aclosing
from http import HTTPStatus
from typing import Protocol

import msgspec

from hazelcast_sidecar.controller.shared.backoff import Backoff
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import Kind, Metadata, Partial
from hazelcast_sidecar.runtime.log import LogLine

_RELIST_SECONDS = 600.0
"""Interval of lists, give or take a quarter: replicas do not list at the same moment."""

_PAUSE_SECONDS = 0.2  # a proxy that ends every watch at once must not be flooded


class Index(Protocol):
    """An index that a reflector feeds."""

    def begin(self, version: str) -> None:
        """Begin a list of this version; its objects follow, each as a change."""

    def upsert(self, item: Metadata) -> None:
        """Add a new object, or update a changed one."""

    def remove(self, item: Metadata) -> None:
        """Remove an object that has gone."""

    def retain(self, uids: Collection[str]) -> None:
        """Keep only these objects, at the end of a list."""


class Watcher(ABC):
    """Watcher of objects of one kind, which survives any failure."""

    def __init__(self, api: Api, kind: Kind, metrics: ControllerMetrics, log: LogLine) -> None:
        self._api, self._kind, self._metrics, self._log = api, kind, metrics, log
        self._faults = Faults(metrics, log)
        self._version = ""
        self._waits = Backoff()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                if self._must_list():
                    await self._list()
                await self._watch()
                self._waits.reset()
                await asyncio.sleep(_PAUSE_SECONDS)
            except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError) as error:
                if isinstance(error, ApiError) and error.status == HTTPStatus.GONE:
                    self._version = ""
                self._metrics.watch_restarts.inc()
                seconds = self._waits.next_delay(error)
                self._log(
                    "watch interrupted",
                    level="warning",
                    kind=self._kind.name,
                    error=in_words(error),
                    seconds=seconds,
                )
                await asyncio.sleep(seconds)
            except Exception as error:  # noqa: BLE001 - after any failure, the watch goes on
                # with a longer wait, as the same failure may happen again
                self._version = ""
                seconds = self._waits.next_delay(error)
                self._faults.note(Where.WATCH, error, kind=self._kind.name, seconds=seconds)
                await asyncio.sleep(seconds)

    def _must_list(self) -> bool:
        return not self._version

    @abstractmethod
    async def _list(self) -> None:
        """Find out from which version to watch."""

    @abstractmethod
    async def _watch(self) -> None:
        """Process the changes of one watch, and advance the version."""


class Reflector(Watcher):
    """Reflector, which feeds one index with the objects of one kind that have some labels."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self, api: Api, kind: Kind, selector: str, index: Index, metrics: ControllerMetrics, log: LogLine
    ) -> None:
        super().__init__(api, kind, metrics, log)
        self._selector, self._index = selector, index
        self._due = 0.0
        """When to list again, by the clock of the event loop."""
        self.synced = asyncio.Event()
        """Set when the index is complete for the first time."""

    def _must_list(self) -> bool:
        return super()._must_list() or asyncio.get_running_loop().time() >= self._due

    async def _list(self) -> None:
        # Set first: a list that is refused again and again must not keep watches from starting.
        self._due = asyncio.get_running_loop().time() + _RELIST_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311
        uids: set[str] = set()
        version = ""
        async for page in self._api.pages(self._kind, Partial, labelSelector=self._selector):
            if not version:
                version = page.metadata.resource_version
                # From here on it must be completed: no watch continues while the index is partly newer.
                self._version = ""
                self._index.begin(version)
            for item in page.items:
                uids.add(item.metadata.uid)
                self._index.upsert(item.metadata)
        self._index.retain(uids)
        self._version = version
        self.synced.set()

    async def _watch(self) -> None:
        changes = self._api.watch(self._kind, Partial, self._version, labelSelector=self._selector)
        async with aclosing(changes):
            async for change, item in changes:
                if change == "DELETED":
                    self._index.remove(item.metadata)
                elif change != "BOOKMARK":
                    self._index.upsert(item.metadata)
                self._version = item.metadata.resource_version
                self._waits.reset()  # not after a list: if no watch lasts, lists would follow each other
