"""A log of one JSON line per request on standard output, written directly.

The logging module would add half an admission's own cost. Lines are read on terminals, and repeat what
tenants wrote: unprintable characters in them are escaped (`text.py`).
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
    """Make a function that writes one JSON line for each call.

    Args:
        stream: the output; by default standard output.
        later: schedules a call soon, such as an event loop's `call_soon`; lines logged until then are
            written together. Without it each is written at once.
    """
    out = stream or sys.stdout.buffer
    waiting: list[bytes] = []

    def flush() -> None:
        lines = b"".join(waiting)
        waiting.clear()
        # A reader that is gone must not fail admissions.
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
        # Half a surrogate pair, or a value without a JSON form: a line is never lost for its content.
        texts = {name: in_one_line(str(each)) for name, each in line.items()}
        return _encode({**texts, "time": line["time"]})


def take_up_logging(log: LogLine) -> None:
    """Write warnings and errors of libraries as our own JSON lines, one each, without tracebacks.

    aiohttp refuses what is not HTTP, and logs it as an error, though there is nothing here to fix.
    """

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            level = "warning" if isinstance(error, HttpProcessingError) else record.levelname.lower()
            said = {} if error is None else {"error": f"{type(error).__name__}: {error}"}
            log(record.getMessage(), level=level, logger=record.name, **said)

    logging.basicConfig(handlers=[Lines()], level=logging.WARNING, force=True)
