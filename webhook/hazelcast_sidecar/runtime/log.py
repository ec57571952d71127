"""One JSON line a request on standard output, written directly.

The logging module would cost half as much again as an admission itself. Lines are read on terminals, and
repeat what tenants wrote: what is not printable in them is escaped (`text.py`).
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from hazelcast_sidecar.text import in_json_line, in_one_line

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
        waiting.append(_encoded(line) + b"\n")
        if later is None:
            flush()
        elif len(waiting) == 1:
            later(flush)

    return write


def _encoded(line: dict[str, object]) -> bytes:
    try:
        return in_json_line(_encode(line))
    except (TypeError, ValueError, OverflowError):
        # Half a surrogate pair, or something that JSON has no form for: a line is never lost for its content.
        texts = {name: in_one_line(str(each)) for name, each in line.items()}
        return _encode({**texts, "time": line["time"]})


def take_up_logging(log: LogLine) -> None:
    """Write what libraries log, from warnings on, as lines of ours: one each, and no traceback.

    What is no HTTP is aiohttp's to refuse, and to log: as an error, though nobody here has anything to mend.
    """

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            level = "warning" if isinstance(error, HttpProcessingError) else record.levelname.lower()
            said = {} if error is None else {"error": f"{type(error).__name__}: {error}"}
            log(record.getMessage(), level=level, logger=record.name, **said)

    logging.basicConfig(handlers=[Lines()], level=logging.WARNING, force=True)
