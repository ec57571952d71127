"""Bounds on a port's connections: how many, for how long, and with how many bytes, no matter what is sent.

Refusing newcomers when all places are taken would let anyone lock the API server out by holding them. Here a
newcomer always gets in, and `connection_eviction` chooses another connection to evict. A request from an API
server arrives completely within milliseconds, so slow ones go first.

asyncio's own server reports connections only after their TLS handshake, when they have long cost memory;
so `listening` accepts them itself, and each is counted here from accept to end.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from hazelcast_sidecar.limits import MAX_REVIEW_BYTES
from hazelcast_sidecar.runtime.connection_eviction import Places, evicted_for_bytes

KEEPALIVE_SECONDS = 120
"""How long a connection may be idle.

The API server drops its idle connections after 90 s (Go's http.DefaultTransport). It must be the one to
close: a review sent on a connection that this server is closing fails, and with it the Pod's creation.
"""

_SWEEP_SECONDS = 1
_SMALL_READ = 16 * 1024
"""Bytes; most reviews are smaller, and 1,000 connections with such buffers are not too many."""
_CONTINUE = b"HTTP/1.1 100 "  # not a final answer, but an invitation to send the body
_GRACE_SECONDS = 10  # aiohttp closes idle connections itself, in order; the sweep is for those it waits on


class Closed(StrEnum):
    """Reasons why the server closed a connection before its client did."""

    HANDSHAKE = "handshake"  # the TLS handshake failed, or took too long
    SLOW = "slow"  # a request did not arrive, or its answer was not read, in time
    EVICTED = "evicted"  # to make room for a newcomer
    MEMORY = "memory"  # requests in progress had too many unanswered bytes
    UNKNOWN = "unknown-client"  # its certificate names another client


@dataclass(frozen=True)
class Bounds:
    """Limits of a listening port.

    Attributes:
        connections: open ones, including those in their TLS handshake.
        handshake_seconds: from accept to the end of the TLS handshake.
        request_seconds: from a request's first byte to its answer, and for the client to take that.
        request_bytes: what one connection may send before it is answered.
        buffered_bytes: what all connections together may have sent and not had answered.
        buffer_bytes: the largest reads of all connections together, apart from small ones. uvloop and
            OpenSSL keep buffers for the next one of that size, three times as much, while a connection is
            open: 1,000 that were answered once would have half a gigabyte.
    """

    connections: int = 1000
    handshake_seconds: float = 10
    request_seconds: float = 10
    # More than twice the largest review: one turn of the loop may bring that much before it is refused.
    request_bytes: int = 2 * MAX_REVIEW_BYTES + 2 * 1024 * 1024
    buffered_bytes: int = 32 * 1024 * 1024
    buffer_bytes: int = 8 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One connection from accept to close, which passes everything on to aiohttp's protocol.

    Attributes:
        source: where it comes from.
        reason: why the server closed it, if it did.
        since: when its request began; without one, when it was last answered, or came.
        buffered_bytes: how many of its bytes are unanswered.
        write_blocked: whether its client does not read its answers.
        hang_up: closes it before its TLS handshake is complete.
    """

    def __init__(self, all_of_them: "Connections", source: str) -> None:
        self.reason: Closed | None = None
        self.since = all_of_them.now()
        self.source = all_of_them.places.add(self, source, self.since)
        self._established = self.source.established
        self.buffered_bytes = 0
        self.largest_read = _SMALL_READ
        self.write_blocked = False
        self._all = all_of_them
        self.hang_up: Callable[[], object] = lambda: None
        self._transport: asyncio.Transport | None = None
        self.ended = False

    def serve(self, protocol: asyncio.Protocol) -> "Connection":
        """Pass on to a protocol what arrives."""
        self._protocol = protocol
        self._pass_on = protocol.data_received
        return self

    def abort(self, reason: Closed) -> None:
        """Close it at once, without waiting for anything."""
        if not self.reason:
            self.reason = reason
            self._all.closed(reason)
            self.end()
            if self._transport:
                self._transport.abort()
            else:
                self.hang_up()

    def end(self) -> None:
        """Give up its place."""
        if not self.ended:
            self.ended = True
            self.release()
            self._all.places.remove(self, self.source)
            self._all.forget_buffers(self)

    def hold(self, count: int) -> None:
        """Count received bytes; too many close this connection, or others."""
        if self.ended:
            return
        self.buffered_bytes += count
        self._all.buffered_bytes += count
        if self.buffered_bytes > self._all.bounds.request_bytes:
            self.abort(Closed.MEMORY)
        elif self._all.buffered_bytes > self._all.bounds.buffered_bytes:
            self._all.forget_bytes()

    def release(self) -> None:
        """Stop counting its bytes, because they are answered or never will be."""
        self._all.buffered_bytes -= self.buffered_bytes
        self.buffered_bytes = 0

    def overdue(self, now: float) -> Closed | None:
        """Return why to close it, if it takes longer than any well-behaved client needs."""
        bounds = self._all.bounds
        if not self._transport:
            return Closed.HANDSHAKE if now - self.since > bounds.handshake_seconds else None
        busy = self.buffered_bytes or self.write_blocked
        patience = bounds.request_seconds if busy else KEEPALIVE_SECONDS + _GRACE_SECONDS
        return Closed.SLOW if now - self.since > patience else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start serving after the TLS handshake."""
        self._transport = plain = cast(asyncio.Transport, transport)
        if self.ended:  # in the moment between the last byte of the handshake and this call
            plain.abort()
        elif not self._all.admits(plain):
            self.abort(Closed.UNKNOWN)
        self.since = self._all.now()
        self._protocol.connection_made(cast(asyncio.Transport, _Answers(plain, self)))

    def data_received(self, data: bytes) -> None:
        """Count what arrives until it is answered."""
        if not self.buffered_bytes:
            self.since = self._all.now()
        self.hold(len(data))
        if len(data) > self.largest_read:
            self._all.note_buffers(self, len(data))
        if not self.ended:
            self._pass_on(data)

    def has_answered(self) -> None:
        """Note that something was written to the client."""
        if not self.ended:
            self.release()
            self.since = self._all.now()
            if self in self._established:
                self._established.move_to_end(self)
            else:
                self._all.places.establish(self, self.source)

    def eof_received(self) -> bool | None:
        """Note that the client sends no more."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Note that the client does not read its answers."""
        self.write_blocked = True
        if self._transport:
            self.hold(self._transport.get_write_buffer_size())
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self.write_blocked = False
        self.release()
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Give up the place of a closed connection."""
        self.end()
        self._protocol.connection_lost(error)


class _Answers:
    """The transport as aiohttp sees it, which reports each write."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport, self._has_answered = transport, connection.has_answered
        self._write, self._writelines = transport.write, transport.writelines
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size

    def write(self, data: bytes) -> None:
        if not data.startswith(_CONTINUE):
            self._has_answered()
        self._write(data)

    def writelines(self, data: list[bytes]) -> None:
        self._has_answered()
        self._writelines(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class Connections:
    """All connections of a port.

    Args:
        bounds: their limits.
        closed: called with the reason of each that the server closes.
        admits: decides whether to serve a client, after its TLS handshake.
    """

    def __init__(
        self,
        bounds: Bounds,
        closed: Callable[[Closed], None] = lambda _: None,
        admits: Callable[[asyncio.BaseTransport], bool] = lambda _: True,
    ) -> None:
        self.bounds, self.closed, self.admits = bounds, closed, admits
        self.buffered_bytes = 0
        self.now = asyncio.get_running_loop().time
        self.places: Places[Connection] = Places()
        # Largest reads, by source; in each, the first connection was the first to have a large one.
        self._buffers: dict[str, dict[Connection, int]] = defaultdict(dict)
        self._buffered = 0

    def __len__(self) -> int:
        return len(self.places)

    def add(self, source: str) -> Connection:
        """Add a newcomer's connection, and evict another one if all places are taken.

        Args:
            source: its client's address, or network.
        """
        if len(self.places) >= self.bounds.connections:
            self.places.first_to_go(self.now()).abort(Closed.EVICTED)
        return Connection(self, source)

    def forget_bytes(self) -> None:
        """Close connections with requests in progress until few enough bytes are unanswered."""
        holders = [connection for connection in self.places if connection.buffered_bytes]
        for connection in evicted_for_bytes(holders, self.buffered_bytes - self.bounds.buffered_bytes):
            connection.abort(Closed.MEMORY)

    def note_buffers(self, connection: Connection, size: int) -> None:
        """Record that a connection has had a read of this size, and close some if there are too many.

        Only idle ones end, where the most are: requests in progress are bounded by their own bytes.
        """
        if not connection.ended:
            crowd = self._buffers[connection.source.name]
            self._buffered += size - crowd.get(connection, 0)
            crowd[connection] = connection.largest_read = size
        while self._buffered > self.bounds.buffer_bytes:
            idle = [
                crowd for crowd in self._buffers.values() if any(not each.buffered_bytes for each in crowd)
            ]
            if not idle:
                return
            crowd = max(idle, key=lambda crowd: sum(crowd.values()))
            next(each for each in crowd if not each.buffered_bytes).abort(Closed.MEMORY)

    def forget_buffers(self, connection: Connection) -> None:
        """Record that a connection has ended, and its buffers with it."""
        if (crowd := self._buffers.get(connection.source.name)) and connection in crowd:
            self._buffered -= crowd.pop(connection)
            if not crowd:
                del self._buffers[connection.source.name]

    async def sweep(self) -> None:
        """Close connections that take too long, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self.now()
            for connection in list(self.places):
                if reason := connection.overdue(now):
                    connection.abort(reason)
