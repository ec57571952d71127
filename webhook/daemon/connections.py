"""How many connections a port holds, for how long, and with how many bytes, whatever is sent or is not.

Refusing newcomers when all places are taken would let anyone lock the API server out by holding them. Here a
newcomer always gets in, and somebody falls: `Connections.make_room` says who. A request that an API server
sends is whole within milliseconds, so what is slow goes first.

asyncio's own server makes connections known after their TLS handshake only, when they have long cost memory;
so `listening` accepts them itself, and each is counted here from accept to end.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from webhook.envelope import MAX_REVIEW_BYTES

KEEPALIVE_SECONDS = 120
"""How long a connection may be idle.

The API server drops its idle connections after 90 s (Go's http.DefaultTransport). It must be the one to
close: a review written to a connection that we are closing fails, and with it the Pod's creation.
"""

_SWEEP_SECONDS = 1
_CONTINUE = b"HTTP/1.1 100 "  # no answer, but an invitation to send the body
_GRACE_SECONDS = 10  # aiohttp closes idle connections itself, in order; the sweep is for those it waits on


class Closed(StrEnum):
    """Why a connection was closed that its client might have kept."""

    HANDSHAKE = "handshake"  # the TLS handshake failed, or took too long
    SLOW = "slow"  # a request did not arrive, or its answer was not taken, in time
    CROWDED_OUT = "crowded-out"  # a newcomer needed its place
    MEMORY = "memory"  # the requests under way held too many bytes
    UNKNOWN = "unknown-client"  # its certificate names another client


@dataclass(frozen=True)
class Bounds:
    """What a port takes upon itself.

    Attributes:
        connections: open ones, those in their TLS handshake among them.
        handshake_seconds: from accept to the end of the TLS handshake.
        request_seconds: from a request's first byte to its answer, and for the client to take that.
        request_bytes: what one connection may send before it is answered.
        held_bytes: what all connections together may have sent and not been answered.
    """

    connections: int = 1000
    handshake_seconds: float = 10
    request_seconds: float = 10
    # More than twice the largest review: a loop's turn may bring that much before it is refused by its size.
    request_bytes: int = 2 * MAX_REVIEW_BYTES + 2 * 1024 * 1024
    held_bytes: int = 32 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One connection from accept to end; it passes everything on to aiohttp's protocol."""

    def __init__(self, all_of_them: "Connections", address: str) -> None:
        self.address = address
        self.answered = False
        self.reason: Closed | None = None
        self.since = all_of_them.now()
        self.held = 0
        self.stuck = False
        self._all = all_of_them
        self.arriving: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = False

    def serve(self, protocol: asyncio.Protocol) -> "Connection":
        """Pass on what comes to a protocol."""
        self._protocol = protocol
        self._pass_on = protocol.data_received
        return self

    def abort(self, reason: Closed) -> None:
        """End it without waiting for anything, once."""
        if not self.reason:
            self.reason = reason
            self._all.closed(reason)
            self.end()
            if self._transport:
                self._transport.abort()
            elif self.arriving:
                self.arriving.cancel()

    def end(self) -> None:
        """Give up the place."""
        if not self._ended:
            self._ended = True
            self.release()
            self._all.remove(self)

    def hold(self, count: int) -> None:
        """Take this many bytes into account; too many end this connection, or others."""
        if self._ended:
            return
        self.held += count
        self._all.held += count
        if self.held > self._all.bounds.request_bytes:
            self.abort(Closed.MEMORY)
        elif self._all.held > self._all.bounds.held_bytes:
            self._all.forget_bytes()

    def release(self) -> None:
        """What it sent is answered, or nobody will answer it any more."""
        self._all.held -= self.held
        self.held = 0

    def overdue(self, now: float) -> bool:
        """Whether it has taken longer than anyone needs."""
        busy = self.held or self.stuck
        patience = self._all.bounds.request_seconds if busy else KEEPALIVE_SECONDS + _GRACE_SECONDS
        return now - self.since > patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is agreed on."""
        self._transport = plain = cast(asyncio.Transport, transport)
        if self._ended:  # in the moment between the last byte of the handshake and this call
            plain.abort()
        elif not self._all.admits(plain):
            self.abort(Closed.UNKNOWN)
        self.since = self._all.now()
        self._protocol.connection_made(cast(asyncio.Transport, _Answers(plain, self)))

    def data_received(self, data: bytes) -> None:
        """Count what is held until it is answered."""
        if not self.held:
            self.since = self._all.now()
        self.hold(len(data))
        if not self._ended:
            self._pass_on(data)

    def has_answered(self) -> None:
        """Something was written to the client."""
        if not self._ended:
            self.release()
            self.since = self._all.now()
            self._all.promote(self)

    def eof_received(self) -> bool | None:
        """The client will send no more."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """The client does not take its answers."""
        self.stuck = True
        if self._transport:
            self.hold(self._transport.get_write_buffer_size())
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self.stuck = False
        self.release()
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self.end()
        self._protocol.connection_lost(error)


class _Answers:
    """The transport as aiohttp sees it: one that tells when something is written."""

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


_Crowds = dict[str, dict[Connection, None]]


class Connections:
    """All connections of a port.

    Args:
        bounds: what they may take.
        closed: told of each that is closed against its client's will.
        admits: whether to serve a client, asked once TLS is agreed on.
    """

    def __init__(
        self,
        bounds: Bounds,
        closed: Callable[[Closed], None] = lambda _: None,
        admits: Callable[[asyncio.BaseTransport], bool] = lambda _: True,
    ) -> None:
        self.bounds, self.closed, self.admits = bounds, closed, admits
        self.held = 0
        self.now = asyncio.get_running_loop().time
        # By address, and in there the one in front that was answered, or that came, longest ago.
        self._new: _Crowds = defaultdict(dict)
        self._known: _Crowds = defaultdict(dict)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, address: str) -> Connection:
        """A newcomer, for whom there is room."""
        if self._count >= self.bounds.connections:
            self.make_room()
        connection = Connection(self, address)
        self._new[address][connection] = None
        self._count += 1
        return connection

    def make_room(self) -> None:
        """Close one connection.

        One that was never answered before one that was; of these, one of the address that holds the most; of
        these, the one that has waited longest. So whoever opens many connections loses them to himself, and
        an API server keeps those that it uses.
        """
        crowds = self._new or self._known
        busiest = max(crowds.values(), key=len)
        next(iter(busiest)).abort(Closed.CROWDED_OUT)

    def forget_bytes(self) -> None:
        """Close those whose requests have been under way for longest, until what is held is little enough."""
        for connection in sorted(self._holding(), key=lambda held: held.since):
            if self.held <= self.bounds.held_bytes:
                return
            connection.abort(Closed.MEMORY)

    def promote(self, connection: Connection) -> None:
        """It was answered: it is known from now on, and the last to go of its address."""
        if not connection.answered:
            self._drop(connection)
            connection.answered = True
        crowd = self._known[connection.address]
        crowd.pop(connection, None)
        crowd[connection] = None

    def remove(self, connection: Connection) -> None:
        """It is over."""
        self._count -= 1
        self._drop(connection)

    async def sweep(self) -> None:
        """Close what takes too long, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self.now()
            for connection in [each for each in self._all() if each.overdue(now)]:
                connection.abort(Closed.SLOW)

    def _all(self) -> Iterator[Connection]:
        for crowds in (self._new, self._known):
            for crowd in crowds.values():
                yield from crowd

    def _holding(self) -> Iterator[Connection]:
        return (connection for connection in self._all() if connection.held)

    def _drop(self, connection: Connection) -> None:
        crowds = self._known if connection.answered else self._new
        crowd = crowds[connection.address]
        del crowd[connection]
        if not crowd:
            del crowds[connection.address]
