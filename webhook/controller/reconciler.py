"""Bring the objects of a group into the shape that its Pods need."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec

from webhook.controller.api import CONNECTION_ERRORS, KEPT_KINDS, Api, ApiError, Kind, OwnerReference
from webhook.controller.groups import Groups, Kept, Key
from webhook.controller.metrics import Metrics
from webhook.controller.reflector import Waits
from webhook.daemon.log import LogLine
from webhook.resources import OURS, Needs, of_group

_CONFLICT_SECONDS = 60
"""After which an object that is somebody else's is looked at again: they may have renamed it."""


class Queue:
    """Groups that wait to be looked at, each at most once, and none by two workers at a time."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._taken: set[Key] = set()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Look at a group soon."""
        self._waiting[key] = None
        self._some.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Look at a group after a while."""
        asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def take(self) -> Key:
        """The next group that nobody is looking at; give it back with `done`."""
        while True:
            for key in self._waiting:
                if key not in self._taken:
                    del self._waiting[key]
                    self._taken.add(key)
                    return key
            self._some.clear()
            await self._some.wait()

    def done(self, key: Key) -> None:
        """A group may be taken again."""
        self._taken.discard(key)
        self._some.set()


class Reconciler:
    """Works on the queue while this replica leads."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self, api: Api, groups: Groups, kept: dict[str, Kept], queue: Queue, metrics: Metrics, log: LogLine
    ) -> None:
        self._api, self._groups, self._kept, self._queue = api, groups, kept, queue
        self._metrics, self._log = metrics, log
        self._waits: dict[Key, Waits] = {}
        self._shapes: dict[Key, tuple[tuple[Needs, list[OwnerReference]], list[str | None]]] = {}
        """What each group needed, and the versions of what was made for it."""

    async def work(self) -> None:
        """Until cancelled."""
        while True:
            key = await self._queue.take()
            started = perf_counter()
            try:
                result = await self._reconcile(key)
                self._waits.pop(key, None)
                if result == "conflict":
                    self._queue.add_later(key, _CONFLICT_SECONDS)
            except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError) as error:
                result = "error"
                seconds = self._waits.setdefault(key, Waits()).after(error)
                self._queue.add_later(key, seconds)
                self._say("reconcile failed", key, level="warning", error=str(error), seconds=seconds)
            finally:
                self._queue.done(key)
            self._metrics.reconciled[result].inc()
            self._metrics.seconds.observe(perf_counter() - started)

    async def _reconcile(self, key: Key) -> str:
        """Bring one group into shape: "ok", or "conflict" where an object of the same name is not ours.

        A group without Pods keeps its objects: its workload may be scaled to zero, and when that has gone the
        garbage collector removes them, as they belong to it.
        """
        found = self._groups.needs(key)
        if found is None:
            self._shapes.pop(key, None)
            return "ok"
        if self._shapes.get(key) == (found, self._versions(key)):
            return "ok"  # one more Pod like the others
        result = await self._bring_into_shape(key, *found)
        if result == "ok":
            self._shapes[key] = (found, self._versions(key))
        return result

    def _versions(self, key: Key) -> list[str | None]:
        """What is known to stand there: a change by somebody else changes one of these."""
        known = [kept.get(key) for kept in self._kept.values()]
        return [metadata.resource_version if metadata else None for metadata in known]

    async def _bring_into_shape(self, key: Key, wanted: Needs, owners: list[OwnerReference]) -> str:
        objects = {obj["kind"]: obj for obj in of_group(wanted, key.group, key.namespace)}
        references = [msgspec.to_builtins(owner) for owner in owners]
        result = "ok"
        for name, kind in KEPT_KINDS.items():
            if name in objects:
                objects[name]["metadata"]["ownerReferences"] = references
                if not await self._keep(key, kind, objects[name]):
                    result = "conflict"
                    if name == "Role":
                        break  # nothing is bound to a Role that is not ours
            elif (unneeded := self._kept[name].get(key)) is not None:
                await self._api.delete(kind, unneeded)
                self._say("deleted", key, kind=name)
        return result

    async def _keep(self, key: Key, kind: Kind, obj: dict[str, Any]) -> bool:
        """Apply one object; False where one of that name is there and not ours."""
        kept = self._kept[kind.name]
        known = kept.get(key)
        if known is None:
            found = await self._api.get(kind, key.namespace, obj["metadata"]["name"])
            if found is not None and not OURS.items() <= found.metadata.labels.items():
                return self._conflict(key, kind, "an object of that name is there, and not ours")
        try:
            applied = await self._api.apply(kind, obj, force=known is not None)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT and known is None:
                return self._conflict(key, kind, str(error))
            raise
        kept.note(applied.metadata)
        if known is None or known.resource_version != applied.metadata.resource_version:
            self._say("applied", key, kind=kind.name)
        return True

    def _conflict(self, key: Key, kind: Kind, why: str) -> bool:
        self._say("conflict", key, level="warning", kind=kind.name, why=why)
        return False

    def _say(self, message: str, key: Key, **fields: object) -> None:
        say: Callable[..., None] = self._log
        say(message, namespace=key.namespace, group=key.group, **fields)
