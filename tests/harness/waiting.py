"""Waiting for what is to happen, with room for a busy machine."""

import time
from collections.abc import Callable

APPEAR_SECONDS = 180.0  # what is promised is one, and printed; a busy machine gets room
SETTLE_SECONDS = 1.0  # how long something that must not happen is waited for


def until(seconds: float, what: str, seen: Callable[[], bool]) -> float:
    """Ask until the answer is yes, and return how long that took."""
    started = time.monotonic()
    while not seen():
        assert time.monotonic() < started + seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started
