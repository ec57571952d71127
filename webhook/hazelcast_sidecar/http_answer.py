"""The answer of a port that speaks HTTP/1.1, read from the bytes that arrive: within bounds, without I/O.

A member's port answers a GET by a head with a length, and a body. Anything may listen in its place, and send
anything in pieces of any size: no byte is searched or copied once for each piece.
"""

import re
from http import HTTPStatus

_MAX_HEAD = 8 * 1024
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


class HttpAnswerError(Exception):
    """A port that did not answer as asked; says why in half a sentence."""


def get_request(path: str) -> bytes:
    """Return the request for a path; the name of the host is of no interest to a member."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


class HttpAnswer:
    """An answer that arrives.

    Args:
        most: bytes that its body may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._received = bytearray()
        self._searched = 0
        self._has_head = False
        self._length: int | None = None
        """The length of the body, if the head says it."""

    def feed(self, data: bytes) -> bytes | None:
        """Take what has arrived, and return the body once it is complete.

        Raises:
            HttpAnswerError: it is not an answer, another one than 200, or too long.
        """
        self._received += data
        if not self._has_head:
            self._read_head()
        if self._length is not None and len(self._received) >= self._length:
            return bytes(memoryview(self._received)[: self._length])
        if self._has_head and len(self._received) > self._most:
            raise self._too_long()
        return None

    def end(self) -> bytes:
        """Return the body when the connection is closed, for an answer that does not say its length.

        Raises:
            HttpAnswerError: the answer has not begun, or is incomplete.
        """
        if not self._has_head or self._length is not None:
            raise HttpAnswerError("it closed the connection before it had answered")
        return bytes(self._received)

    def _read_head(self) -> None:
        """Look for the end of the head from where the last search ended, and drop a head that was read."""
        end = self._received.find(_END, self._searched)
        self._searched = max(0, len(self._received) - len(_END) + 1)
        if end < 0 and len(self._received) <= _MAX_HEAD:
            return
        head = bytes(memoryview(self._received)[: end + len(_END)])
        status = _STATUS.match(head)
        if status is None or not 0 <= end <= _MAX_HEAD:
            raise HttpAnswerError("what listens there does not speak HTTP")
        if int(status[1]) != HTTPStatus.OK:
            raise HttpAnswerError(f"it answered with HTTP {int(status[1])}")
        length = _LENGTH.search(head)
        self._length = int(length[1]) if length else None
        if self._length is not None and self._length > self._most:
            raise self._too_long()
        del self._received[: len(head)]
        self._has_head = True

    def _too_long(self) -> HttpAnswerError:
        return HttpAnswerError(f"the answer has more than {self._most} bytes")
