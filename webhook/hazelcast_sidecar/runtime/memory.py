"""Freed memory that the process returns to the system."""

import asyncio
import ctypes
import resource
from collections.abc import Callable
from pathlib import Path

_LOOK_SECONDS = 1
_MUCH = 96 * 1024 * 1024
"""Resident bytes above which memory is returned; at rest a server has half of it."""

_PAGES = Path("/proc/self/statm")


async def give_back_memory() -> None:
    """Return free memory to the system while the process has much, until cancelled.

    glibc keeps what lies between memory in use: buffers of many connections that have ended, and bodies. The
    next ones do not always fit there, so that one attack after the other would add up.
    """
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:  # with another libc
        await asyncio.sleep(_LOOK_SECONDS)
        if _resident_bytes() > _MUCH:
            trim(0)


def _resident_bytes() -> int:
    """Return the resident memory; 0 where the system does not say."""
    try:
        pages = int(_PAGES.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()
