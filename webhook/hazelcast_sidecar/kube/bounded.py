"""Answers of the API server, read within bounds: as a whole, or line by line for a watch.

Anyone who may create an object decides its length. etcd takes 1.5 MiB of one, unless its flag
`--max-request-bytes` says otherwise. In JSON that is at most six times as long: Go escapes each `<`, `>` and
`&`, and writes six bytes for one. All else that an object consists of grows by less.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

import aiohttp
import msgspec

MAX_BYTES = 10 * 1024 * 1024
"""The longest answer, and the longest line of a watch: the largest object is 9 MiB."""

LARGE_BYTES = 1024 * 1024
"""Bytes from which an answer or a line is large: large ones are read one at a time."""

HEAD_BYTES = 4096
"""Bytes that are kept of what is too long: they name the object, or say where the list goes on."""


class UnreadableAnswerError(msgspec.MsgspecError):
    """An answer that cannot be read.

    Args:
        why: the reason, half a sentence.
        head: its first bytes.
    """

    def __init__(self, why: str, head: bytes) -> None:
        super().__init__(why)
        self.head = head


class TooLongError(UnreadableAnswerError):
    """An answer, or a line, that is longer than allowed."""


class LineSplitter:
    """Splitter of a stream into lines, which holds the last incomplete one.

    Args:
        most: bytes that a line may have; only the head of a longer one is kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._skips = False

    @property
    def buffered_bytes(self) -> int:
        """Return how many bytes the incomplete line has."""
        return len(self._line)

    def feed(self, chunk: bytes) -> Iterator[bytearray | TooLongError]:
        """Yield the lines that end in a chunk, without their ends; in the place of one too long, its head."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._hold(end)
            line, self._line = self._line, bytearray()
            if self._skips:
                self._skips = False
                yield _too_long(self._most, line)
            else:
                yield line
                del line  # else it is there until the next one comes
        self._hold(rest)

    def _hold(self, part: bytes) -> None:
        if self._skips:
            return
        self._line += part
        if len(self._line) > self._most:
            self._skips = True
            self._line = self._line[:HEAD_BYTES]


async def chunks(
    content: aiohttp.StreamReader, buffered_bytes: Callable[[], int], large: asyncio.Lock, seconds: float
) -> AsyncGenerator[bytes, None]:
    """Yield what arrives; while much is buffered, only to one reader at a time.

    The others wait, and with them the API server, by the flow control of TCP. So memory is bounded, however
    many answers and watches are large at the same moment.

    Args:
        content: the body of a response.
        buffered_bytes: returns how many bytes its reader has buffered.
        large: the lock that readers of the same process share.
        seconds: how long one that has the lock waits for more.

    Raises:
        TimeoutError: nothing arrived for so long.
    """
    has_turn = False
    try:
        while True:
            if has_turn != (buffered_bytes() > LARGE_BYTES):
                if has_turn:
                    large.release()
                else:
                    await large.acquire()
                has_turn = not has_turn
            async with asyncio.timeout(seconds if has_turn else None):
                chunk = await content.readany()
            if not chunk:
                return
            yield chunk
    finally:
        if has_turn:
            large.release()


async def whole(
    content: aiohttp.StreamReader, large: asyncio.Lock, seconds: float, most: int = MAX_BYTES
) -> bytearray:
    """Read a body to its end.

    Raises:
        TooLongError: it has more than `most` bytes; the rest was not read.
        TimeoutError: nothing arrived for so long.
    """
    body = bytearray()
    async with aclosing(chunks(content, lambda: len(body), large, seconds)) as parts:
        async for part in parts:
            body += part
            if len(body) > most:
                raise _too_long(most, body)
    return body


def _too_long(most: int, text: bytearray) -> TooLongError:
    return TooLongError(f"it has more than {most:,} bytes", bytes(text[:HEAD_BYTES]))
