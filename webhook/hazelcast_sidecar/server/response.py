"""A response whose head is precomputed.

`web.Response` composes its head from mappings, hooks and defaults for every request. The head of an
answered review is always the same but for its length and date, and composing it cost as much as the review
itself (docs/decisions/0011).
"""

from email.utils import formatdate
from functools import lru_cache
from time import time

from aiohttp import web

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %b\r\n\r\n"
_MANY_BYTES = 64 * 1024  # unread by the client


class ReadyResponse(web.StreamResponse):
    """Status 200 with JSON, over HTTP/1.1, on a connection that is kept.

    Args:
        body: the JSON.
    """

    _keep_alive = True

    def __init__(self, body: bytes) -> None:
        # Not super's: it builds the mappings that a head would be composed of.
        self._bytes = body

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send head and body at once.

        Raises:
            ConnectionResetError: the client is gone.
        """
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(b"".join((_HEAD % (len(self._bytes), _date(int(time()))), self._bytes)))
        if transport.get_write_buffer_size() > _MANY_BYTES:
            await request.writer.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing, because everything was sent."""


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    """Format a time as the Date header has it (RFC 9110, 6.6.1)."""
    return formatdate(second, usegmt=True).encode()
