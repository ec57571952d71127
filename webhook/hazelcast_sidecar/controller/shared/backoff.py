"""Waiting: backoff after failures, and intervals between checks."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, ApiError, in_words
from hazelcast_sidecar.runtime.log import LogLine

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 15.0
_MOST_ASKED = 300.0
"""The longest delay that a server may ask for; a proxy in front of it may ask for years."""


class Backoff:
    """Delays before each next attempt: exponential, with jitter, and as the server asks."""

    def __init__(self) -> None:
        self._next = _FIRST_WAIT

    def reset(self) -> None:
        """Start with a short delay again, after a success."""
        self._next = _FIRST_WAIT

    def next_delay(self, error: BaseException) -> float:
        """Return the delay in seconds after this error."""
        asked = error.retry_after if isinstance(error, ApiError) else None
        least = min(asked or 0, _MOST_ASKED)
        seconds = max(self._next * random.uniform(0.5, 1.5), least)  # noqa: S311 - no secret
        self._next = min(self._next * 2, _LONGEST_WAIT)
        return seconds


async def run_periodically(  # noqa: PLR0913, PLR0917 - what, how often, and where its failures go
    seconds: float,
    look: Callable[[], Awaitable[None]],
    log: LogLine,
    trouble: str,
    faults: Faults,
    where: Where,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Run a check again and again, until cancelled; one that fails in any way is tried again.

    Args:
        seconds: interval after a success.
        look: checks, and corrects what is wrong.
        log: receives a line for each check that the API server refused or could not answer.
        trouble: the message of that line.
        faults: receives other exceptions.
        where: their category.
        pause: waits for so many seconds, or less.
    """
    waits = Backoff()
    while True:
        try:
            await look()
            waits.reset()
            wait = seconds
        except (*CONNECTION_ERRORS, ApiError) as error:
            wait = waits.next_delay(error)
            log(trouble, level="warning", error=in_words(error), seconds=wait)
        except Exception as error:  # noqa: BLE001 - one look that fails must not end all further ones
            wait = waits.next_delay(error)
            faults.note(where, error, seconds=wait)
        await pause(wait)


async def keep_up(work: Callable[[], Awaitable[None]], faults: Faults, where: Where) -> None:
    """Run what goes on until cancelled, and start it again if it ends with an exception.

    Args:
        work: runs until cancelled.
        faults: receives what it raises.
        where: the category of its exceptions.
    """
    waits = Backoff()
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - else it would end all that goes on beside it
            seconds = waits.next_delay(error)
            faults.note(where, error, seconds=seconds)
            await asyncio.sleep(seconds)
        else:
            return
