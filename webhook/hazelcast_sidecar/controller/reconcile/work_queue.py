"""Queue of what is to be reconciled."""

import asyncio

from hazelcast_sidecar.controller.reconcile.groups import Key


class WorkQueue:
    """Queue of groups to reconcile, each at most once, and each with one worker at a time."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._taken: set[Key] = set()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Enqueue a group."""
        self._waiting[key] = None
        self._some.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Enqueue a group after a delay in seconds; of several delays of one group the shortest counts."""
        loop = asyncio.get_running_loop()
        known = self._later.get(key)
        if known is not None:
            if known.when() <= loop.time() + seconds:
                return
            known.cancel()
        self._later[key] = loop.call_later(seconds, self._is_due, key)

    def _is_due(self, key: Key) -> None:
        del self._later[key]
        self.add(key)

    def clear(self) -> None:
        """Forget all waiting groups: the next leader begins with every group."""
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()
        self._waiting.clear()

    async def get(self) -> Key:
        """Return the next group that no worker has; call `done` afterwards."""
        while True:
            for key in self._waiting:
                if key not in self._taken:
                    del self._waiting[key]
                    self._taken.add(key)
                    return key
            self._some.clear()
            await self._some.wait()

    def done(self, key: Key) -> None:
        """Allow a group to be taken again."""
        self._taken.discard(key)
        self._some.set()
