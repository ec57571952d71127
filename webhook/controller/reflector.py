"""A reflector: keeps an index like the API server's, by a list and then watches for ever.

It survives whatever happens in between: a version too old to watch from (410), a restarted API server, a
connection that is cut, too many requests (429). Between attempts it waits, longer each time, with jitter, so
that many replicas do not come back at the same moment.
"""

import asyncio
import random
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

import msgspec

from webhook.controller.api import CONNECTION_ERRORS, Api, ApiError, Kind, Metadata
from webhook.controller.metrics import Metrics
from webhook.daemon.log import LogLine

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 15.0


class Index(Protocol):
    """What a reflector feeds."""

    def replace(self, items: Iterable[Metadata]) -> None:
        """These are all."""

    def upsert(self, item: Metadata) -> None:
        """This one is new, or changed."""

    def remove(self, item: Metadata) -> None:
        """This one has gone."""


class Waits:
    """Seconds to wait before each next attempt: doubling, with jitter, and as the server asks."""

    def __init__(self) -> None:
        self._next = _FIRST_WAIT

    def reset(self) -> None:
        """It worked."""
        self._next = _FIRST_WAIT

    def after(self, error: BaseException) -> float:
        """How long to wait after this error."""
        asked = error.retry_after if isinstance(error, ApiError) else None
        seconds = max(self._next * random.uniform(0.5, 1.5), asked or 0)  # noqa: S311 - no secret
        self._next = min(self._next * 2, _LONGEST_WAIT)
        return seconds


class Reflector:
    """Feeds one index with the objects of one kind that have some labels."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self, api: Api, kind: Kind, selector: str, index: Index, metrics: Metrics, log: LogLine
    ) -> None:
        self._api, self._kind, self._selector, self._index = api, kind, selector, index
        self._metrics, self._log = metrics, log
        self._version = ""
        self.synced = asyncio.Event()
        """Set when the index is complete for the first time."""

    async def run(self) -> None:
        """Until cancelled."""
        waiting = Waits()
        while True:
            try:
                if not self._version:
                    await self._list()
                    waiting.reset()
                await self._watch()
                waiting.reset()
                await asyncio.sleep(_FIRST_WAIT)  # a proxy that ends every watch at once must not be hammered
            except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError) as error:
                if isinstance(error, ApiError) and error.status == HTTPStatus.GONE:
                    self._version = ""
                self._metrics.watch_restarts.inc()
                seconds = waiting.after(error)
                self._log(
                    "watch interrupted",
                    level="warning",
                    kind=self._kind.name,
                    error=str(error),
                    seconds=seconds,
                )
                await asyncio.sleep(seconds)

    async def _list(self) -> None:
        items, version = await self._api.list(self._kind, self._selector)
        self._index.replace(item.metadata for item in items)
        self._version = version
        self.synced.set()

    async def _watch(self) -> None:
        async for change, item in self._api.watch(self._kind, self._selector, self._version):
            if change == "DELETED":
                self._index.remove(item.metadata)
            elif change != "BOOKMARK":
                self._index.upsert(item.metadata)
            self._version = item.metadata.resource_version
