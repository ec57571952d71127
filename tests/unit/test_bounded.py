"""Lines of a stream within bounds, and one large answer at a time."""

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.kube.bounded import HEAD_BYTES, LARGE_BYTES, LineSplitter, TooLongError, chunks


def told(line: bytearray | TooLongError) -> tuple[str, bytes]:
    """What became of a line, and what is left of it."""
    return ("skipped", line.head) if isinstance(line, TooLongError) else ("line", bytes(line))


LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=12)


@pytest.mark.heavy
@given(lines=LINES, cuts=st.lists(st.integers(0, 500)), most=st.integers(1, 50))
def test_a_stream_is_cut_at_its_line_ends_wherever_chunks_end(
    lines: list[bytes], cuts: list[int], most: int
) -> None:
    """What is too long is skipped and said, in its place; all else comes whole and in order."""
    stream = b"".join(line + b"\n" for line in lines)
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    found: list[tuple[str, bytes]] = []
    splitter = LineSplitter(most)
    for start, end in pairwise(bounds):
        found.extend(map(told, splitter.feed(stream[start:end])))
        assert splitter.buffered_bytes <= max(most, HEAD_BYTES)
    assert [what for what, _ in found] == ["skipped" if len(line) > most else "line" for line in lines]
    for sent, (what, text) in zip(lines, found, strict=True):
        assert sent.startswith(text) if what == "skipped" else sent == text


def test_of_what_is_skipped_only_the_head_is_held() -> None:
    splitter = LineSplitter(10_000)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 10_000)) == []
        assert splitter.buffered_bytes <= 10_000
    assert [*map(told, splitter.feed(b"x\nshort\n"))] == [("skipped", b"x" * HEAD_BYTES), ("line", b"short")]


class Reader:
    """Reads one body, and says how much of it it holds."""

    def __init__(self, large: asyncio.Lock) -> None:
        connection = BaseProtocol(asyncio.get_running_loop())
        connection.connection_made(asyncio.Transport())
        self.body = StreamReader(connection, 2 * LARGE_BYTES)
        self.buffered_bytes = 0
        self.read = 0
        self._large = large

    async def run(self) -> None:
        async with aclosing(chunks(self.body, lambda: self.buffered_bytes, self._large, 60)) as parts:
            async for part in parts:
                self.buffered_bytes += len(part)
                self.read += len(part)


async def all_wait() -> None:
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_large_answer_at_a_time_is_read_on() -> None:
    large = asyncio.Lock()
    first, second, small = Reader(large), Reader(large), Reader(large)
    tasks = [asyncio.create_task(reader.run()) for reader in (first, second, small)]
    for reader in (first, second):
        reader.body.feed_data(b"x" * (LARGE_BYTES + 1))
        await all_wait()
    for reader in (first, second, small):
        reader.body.feed_data(b"y")
        await all_wait()
    assert [reader.read for reader in (first, second, small)] == [LARGE_BYTES + 2, LARGE_BYTES + 1, 1]
    first.buffered_bytes = 0  # its line has ended
    first.body.feed_data(b"z")
    await all_wait()
    assert [reader.read for reader in (first, second, small)] == [LARGE_BYTES + 3, LARGE_BYTES + 2, 1]
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    assert not large.locked(), "one that is cancelled gives its turn back"
    for reader in (first, small):
        reader.body.feed_eof()
    await asyncio.gather(tasks[0], tasks[2])
