"""One JSON line a request on standard output, written directly.

The logging module would cost half as much again as an admission itself.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

LogLine = Callable[..., None]
"""Called with a message and fields."""

_encode = msgspec.json.Encoder().encode


def json_lines(
    stream: BinaryIO | None = None, later: Callable[[Callable[[], None]], object] | None = None
) -> LogLine:
    """A function that writes one JSON line for each call.

    Args:
        stream: where to; standard output unless told.
        later: calls a function soon, such as an event loop's `call_soon`; lines that come up until then are
            written together. Without it each is written at once.
    """
    out = stream or sys.stdout.buffer
    waiting: list[bytes] = []

    def flush() -> None:
        lines = b"".join(waiting)
        waiting.clear()
        # A reader that went away must not fail admissions.
        with suppress(OSError):
            out.write(lines)
            out.flush()

    def write(message: str, *, level: str = "info", **fields: object) -> None:
        line = {"time": datetime.now(UTC), "level": level, "message": message, **fields}
        waiting.append(_encode(line) + b"\n")
        if later is None:
            flush()
        elif len(waiting) == 1:
            later(flush)

    return write
