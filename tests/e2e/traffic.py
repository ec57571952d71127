"""An application's traffic while its cluster changes."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.background import Background
from tests.e2e.kubectl import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.http_client import Entrance

PAUSE_SECONDS = 0.02


class Traffic(Background):
    """Puts and gets through one entrance, one thread each, for as long as the context lasts.

    Every put has a key of its own. One that was not acknowledged may be there or not, and is not counted; a
    key that was is read at random from then on, and must have its value.

    Args:
        door: where the application answers, whichever replica it is.
    """

    def __init__(self, door: Entrance) -> None:
        self.acknowledged: dict[str, str] = {}
        self.wrong: dict[str, str] = {}
        """What was read in place of what had been acknowledged, by key."""
        self.refused: Counter[str] = Counter()
        self.longest = {"put": 0.0, "get": 0.0}
        self._door = door
        self._numbers = itertools.count()
        self._keys: list[str] = []
        super().__init__(*(partial(self._repeat, once) for once in (self._put, self._get)))

    def fill(self, entries: int) -> None:
        """Put so many entries at once."""
        with ThreadPoolExecutor(8) as writers:
            for _ in range(entries):
                writers.submit(self._put)

    def lost(self) -> list[str]:
        """Acknowledged entries that cannot be read any more, or have another value.

        Where all Pods are new, the nodes may know a little later than the API server where they are: what
        gets no answer here is asked again.
        """
        with ThreadPoolExecutor(8) as readers:
            found = readers.map(self._read, self.acknowledged)
            return [k for (k, v), got in zip(self.acknowledged.items(), found, strict=True) if got != v]

    def _read(self, key: str) -> str:
        def answered() -> tuple[str] | None:
            try:
                return (self._door.get("/get", key=key),)
            except OSError:
                return None

        return until(60, f"an answer about {key} from {self._door}", answered)[0]

    def summary(self) -> str:
        """All of it in a line."""
        times = ", ".join(f"longest {kind} {seconds:.1f} s" for kind, seconds in self.longest.items())
        failed = f"{self.refused.total()} requests failed {dict(self.refused) or ''}".strip()
        return f"{len(self.acknowledged)} entries acknowledged, {failed}, {times}"

    def _repeat(self, once: Callable[[], None]) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            once()

    def _put(self) -> None:
        number = next(self._numbers)
        key, value = f"key-{number}", f"value-{number}"
        if self._timed("put", lambda: self._door.get("/put", key=key, value=value)) is not None:
            self.acknowledged[key] = value
            self._keys.append(key)

    def _get(self) -> None:
        if not self._keys:
            return
        key = random.choice(self._keys)  # noqa: S311 - any will do
        found = self._timed("get", lambda: self._door.get("/get", key=key))
        if found is not None and found != self.acknowledged[key]:
            self.wrong[key] = found

    def _timed(self, kind: str, ask: Callable[[], str]) -> str | None:
        """The answer, or None where the request failed."""
        started = time.monotonic()
        try:
            return ask()
        except OSError as error:
            self.refused[f"{kind}: {error}"] += 1
            return None
        finally:
            self.longest[kind] = max(self.longest[kind], time.monotonic() - started)
