"""How long to wait: after an attempt that failed, and between looks at what should stay in order."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

import msgspec

from webhook.daemon.log import LogLine
from webhook.kube.api import CONNECTION_ERRORS, ApiError, in_words

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 15.0


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


async def look_every(
    seconds: float,
    look: Callable[[], Awaitable[None]],
    log: LogLine,
    trouble: str,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Look again and again, until cancelled; what the API server refuses or cannot answer is tried again.

    Args:
        seconds: between two looks that worked.
        look: looks, and brings into order what is not.
        log: takes a line for each look that failed.
        trouble: what that line says.
        pause: waits for so many seconds, or less.
    """
    waits = Waits()
    while True:
        try:
            await look()
            waits.reset()
            wait = seconds
        except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError) as error:
            wait = waits.after(error)
            log(trouble, level="warning", error=in_words(error), seconds=wait)
        await pause(wait)
