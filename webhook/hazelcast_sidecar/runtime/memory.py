"""Memory that is free, and that the system does not get back by itself."""

import asyncio
import ctypes
import resource
from collections.abc import Callable
from pathlib import Path

_LOOK_SECONDS = 1
_MUCH = 96 * 1024 * 1024
"""Bytes of resident memory; at rest a server has half of it."""

_PAGES = Path("/proc/self/statm")


async def give_back_memory() -> None:
    """Return free memory to the system while the process has much, until cancelled.

    glibc keeps what lies between memory in use: buffers of many connections that have ended, and bodies. What
    the next ones need is not always where that is, so that one attack after the other would add up.
    """
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:  # as in another libc
        await asyncio.sleep(_LOOK_SECONDS)
        if _resident_bytes() > _MUCH:
            trim(0)


def _resident_bytes() -> int:
    """Return how much memory the process has; 0 where the system does not say."""
    try:
        pages = int(_PAGES.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()
