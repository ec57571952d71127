"""Work that goes on beside a test, in threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Background:
    """Work in a thread each, for as long as the context lasts.

    What a thread raises is raised at the end: it must not pass for silence.

    Args:
        work: returns soon after `self._stop` is set.
    """

    def __init__(self, *work: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in work]
        self._crashes: list[BaseException] = []

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._ended = time.monotonic()
        if self._crashes:
            raise self._crashes[0]

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whatever it is
            self._crashes.append(error)
