"""Who falls when a port has no place, or no memory, left."""

import asyncio
import itertools
from collections import Counter
from functools import partial
from typing import cast

import pytest

from hazelcast_sidecar.runtime.connection_eviction import NEWCOMER_SECONDS
from hazelcast_sidecar.runtime.connections import KEEPALIVE_SECONDS, Bounds, Closed, Connection, Connections
from hazelcast_sidecar.runtime.listening import source_of


@pytest.fixture
async def closed() -> Counter[Closed]:
    return Counter()


@pytest.fixture
async def connections(closed: Counter[Closed]) -> Connections:
    def count(reason: Closed) -> None:
        closed[reason] += 1

    return Connections(Bounds(connections=6, request_bytes=100, buffered_bytes=250), count)


def fallen(connections: list[Connection]) -> list[int]:
    return [number for number, connection in enumerate(connections) if connection.reason]


async def test_of_those_never_answered_the_oldest_of_the_busiest_address_falls(
    connections: Connections, closed: Counter[Closed]
) -> None:
    addresses = ["server", "a", "b", "b", "a", "b"]
    all_of_them = [connections.add(address) for address in addresses]
    newcomer = connections.add("c")
    assert fallen(all_of_them) == [2]
    assert (newcomer.reason, closed, len(connections)) == (None, {Closed.EVICTED: 1}, 6)


async def test_one_that_was_answered_stays_while_another_never_was_for_a_time(
    connections: Connections,
) -> None:
    connections.now = lambda: 0
    all_of_them = [connections.add("a") for _ in range(6)]
    for connection in all_of_them[:4]:
        connection.has_answered()
    connections.now = lambda: NEWCOMER_SECONDS
    for _ in range(2):
        connections.add("b").has_answered()
    assert fallen(all_of_them) == [4, 5]


async def test_newcomers_get_a_time_at_the_expense_of_those_answered_longest_ago(
    connections: Connections,
) -> None:
    """All from one address, as behind a proxy: a flood leaves the others half of the places."""
    all_of_them = [connections.add("a") for _ in range(6)]
    for connection in all_of_them:
        connection.has_answered()
    all_of_them[0].has_answered()
    newcomers = [connections.add("a") for _ in range(9)]
    assert fallen(all_of_them) == [1, 2, 3]
    assert fallen(newcomers) == [0, 1, 2, 3, 4, 5]


async def test_newcomers_of_many_addresses_do_not_cost_one_its_answered_connections(
    connections: Connections,
) -> None:
    server = [connections.add("server") for _ in range(3)]
    for connection in server:
        connection.has_answered()
    newcomers = [connections.add(f"address {number}") for number in range(9)]
    assert fallen(server) == []
    assert fallen(newcomers) == [0, 1, 2, 3, 4, 5]


async def test_what_one_address_holds_is_at_its_own_expense(connections: Connections) -> None:
    review, *attack = [connections.add(address) for address in ("server", "a", "a", "a", "a")]
    for connection, count in zip((review, *attack), (60, 50, 50, 50, 50), strict=True):
        connection.hold(count)  # the review is the oldest
    assert (fallen([review]), fallen(attack)) == ([], [0])


async def test_of_those_answered_the_one_longest_ago_falls(connections: Connections) -> None:
    all_of_them = [connections.add("a") for _ in range(6)]
    for number in (0, 1, 2, 3, 4, 5, 0, 2):
        all_of_them[number].has_answered()
    for _ in range(3):
        connections.add("b").has_answered()
    assert fallen(all_of_them) == [1, 3, 4]


async def test_what_is_held_too_long_falls_first(
    connections: Connections, closed: Counter[Closed], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_them = [connections.add("a") for _ in range(4)]
    for second, number in enumerate((2, 0, 1)):
        all_of_them[number].since = second
        all_of_them[number].hold(80)
    assert fallen(all_of_them) == []
    monkeypatch.setattr(all_of_them[3], "since", 9)
    all_of_them[3].hold(80)
    assert fallen(all_of_them) == [2]
    assert (closed, connections.buffered_bytes) == ({Closed.MEMORY: 1}, 240)
    all_of_them[0].has_answered()
    assert connections.buffered_bytes == 160


async def test_one_that_sends_too_much_falls_alone(connections: Connections) -> None:
    all_of_them = [connections.add("a") for _ in range(2)]
    all_of_them[1].hold(101)
    assert fallen(all_of_them) == [1]
    assert connections.buffered_bytes == 0


async def test_what_has_ended_takes_no_place_however_often_it_is_told(connections: Connections) -> None:
    connection = connections.add("a")
    connection.end()
    connection.end()
    connection.has_answered()
    connection.hold(50)
    assert (len(connections), connections.buffered_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (source_of(one) == source_of(other)) is same


async def test_what_takes_too_long_is_looked_for_again_and_again(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hazelcast_sidecar.runtime.connections._SWEEP_SECONDS", 0)
    monkeypatch.setattr(connections, "now", partial(next, itertools.count(1e6, 1e6)))  # weeks go by
    sweeping = asyncio.create_task(connections.sweep())
    for number in range(2):
        connection = connections.add(f"a-{number}")
        async with asyncio.timeout(30):
            while not connection.reason:  # noqa: ASYNC110 - it knows of no event
                await asyncio.sleep(0)
    sweeping.cancel()


async def test_large_reads_of_others_cost_no_review_under_way(
    connections: Connections, closed: Counter[Closed]
) -> None:
    connections.bounds = Bounds(connections=90, buffer_bytes=200_000)
    busy = [connections.add("server") for _ in range(12)]
    for connection in busy:
        connection.hold(1)
        connections.note_buffers(connection, 30_000)
    assert not fallen(busy), "what is under way is bounded by its own bytes"
    idle = [connections.add(f"a-{number}") for number in range(8)]
    for connection in idle:
        connections.note_buffers(connection, 50_000)
    assert not fallen(busy)
    assert closed == {Closed.MEMORY: 8}


async def test_large_reads_are_kept_by_few(connections: Connections, closed: Counter[Closed]) -> None:
    """Buffers of that size stay with a connection until it ends."""
    connections.bounds = Bounds(connections=6, buffer_bytes=200_000)
    all_of_them = [connections.add(address) for address in ("server", "a", "a", "a", "a")]
    for connection in all_of_them:
        connections.note_buffers(connection, 50_000)
    assert (fallen(all_of_them), closed) == ([1], {Closed.MEMORY: 1})
    all_of_them[2].hold(1)  # at work; one that is idle falls before it
    connections.note_buffers(all_of_them[0], 70_000)
    assert fallen(all_of_them) == [1, 3]
    for connection in all_of_them:
        connection.end()
    connections.note_buffers(connections.add("b"), 200_000)
    assert fallen(all_of_them) == [1, 3]
    assert len(connections) == 1


# --- one connection, between its transport and what answers ------------------------------------------------


class Wire:
    """Stands in for the transport of a connection, and for the protocol that answers on it."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.unread = 0

    def serve(self, connection: Connection) -> "Wire":
        """Take the connection through its handshake."""
        connection.serve(cast("asyncio.Protocol", self)).connection_made(cast("asyncio.Transport", self))
        return self

    def take(self) -> list[object]:
        seen, self.seen = self.seen, []
        return seen

    # The transport.

    def write(self, data: bytes) -> None:
        self.seen.append(data)

    def writelines(self, data: list[bytes]) -> None:
        self.seen += data

    def abort(self) -> None:
        self.seen.append("aborted")

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> str:
        return name

    # The protocol.

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.answers = transport

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return False

    def pause_writing(self) -> None:
        self.seen.append("paused")

    def resume_writing(self) -> None:
        self.seen.append("resumed")

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.append(("lost", error))


async def test_what_arrives_is_passed_on_and_counted_until_it_is_answered(connections: Connections) -> None:
    connection = connections.add("a")
    wire = Wire().serve(connection)
    for data in (b"a" * 40, b"b" * 50):
        connection.data_received(data)
    assert wire.take() == [b"a" * 40, b"b" * 50]
    assert connections.buffered_bytes == 90
    wire.answers.write(b"HTTP/1.1 200 OK")
    assert (wire.take(), connections.buffered_bytes) == ([b"HTTP/1.1 200 OK"], 0)
    connection.data_received(b"c")
    wire.answers.writelines([b"HTTP/1.1 200", b" OK"])
    assert (wire.take(), connections.buffered_bytes) == ([b"c", b"HTTP/1.1 200", b" OK"], 0)


async def test_what_is_too_much_is_not_passed_on(connections: Connections) -> None:
    connection = connections.add("a")
    wire = Wire().serve(connection)
    connection.data_received(b"x" * 101)
    connection.data_received(b"more")
    assert (wire.take(), connection.reason) == (["aborted"], Closed.MEMORY)


async def test_an_invitation_to_send_the_body_is_no_answer(connections: Connections) -> None:
    """Else a client that asks for it again and again would be established, and never be slow."""
    connection = connections.add("a")
    wire = Wire().serve(connection)
    connection.data_received(b"x" * 60)
    wire.answers.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (connections.buffered_bytes, connection in connection.source.newcomers) == (60, True)
    assert wire.take()[-1] == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("state", "seconds", "reason"),
    [
        ("handshake", 10, Closed.HANDSHAKE),
        ("idle", KEEPALIVE_SECONDS + 10, Closed.SLOW),
        ("answered", KEEPALIVE_SECONDS + 10, Closed.SLOW),
        ("request", 10, Closed.SLOW),
        ("unread answer", 10, Closed.SLOW),
        ("read answer", KEEPALIVE_SECONDS + 10, Closed.SLOW),
    ],
)
async def test_each_state_of_a_connection_has_its_time(
    connections: Connections, state: str, seconds: float, reason: Closed
) -> None:
    connections.now = lambda: 1000.0
    connection = connections.add("a")
    if state != "handshake":
        connections.now = lambda: 1007.0
        wire = Wire().serve(connection)
    if state in {"request", "answered"}:
        connections.now = lambda: 1500.0
        connection.data_received(b"a")
        connections.now = lambda: 1502.0
        connection.data_received(b"b")  # a request that dribbles in gets no more time
    if state == "answered":
        wire.answers.write(b"HTTP/1.1 200 OK")
    if "answer" in state and state != "answered":
        connection.pause_writing()
    if state == "read answer":
        connection.resume_writing()
    begun = {"handshake": 1000, "request": 1500, "answered": 1502}.get(state, 1007)
    assert connection.overdue(begun + seconds) is None
    assert connection.overdue(begun + seconds + 1) is reason


async def test_an_answer_that_is_not_read_counts_until_it_is(connections: Connections) -> None:
    connection = connections.add("a")
    wire = Wire().serve(connection)
    wire.unread = 70
    connection.pause_writing()
    assert (wire.take(), connections.buffered_bytes) == (["paused"], 70)
    connection.resume_writing()
    assert (wire.take(), connections.buffered_bytes) == (["resumed"], 0)
    wire.unread = 101
    connection.pause_writing()
    assert connection.reason is Closed.MEMORY


async def test_a_connection_ends_once_and_what_answers_learns_of_it(
    connections: Connections, closed: Counter[Closed]
) -> None:
    connection = connections.add("a")
    wire = Wire().serve(connection)
    assert connection.eof_received() is False
    connection.data_received(b"half a request")
    connection.abort(Closed.SLOW)
    connection.abort(Closed.EVICTED)
    error = ConnectionResetError()
    connection.connection_lost(error)
    assert wire.take() == ["eof", b"half a request", "aborted", ("lost", error)]
    assert (closed, len(connections), connections.buffered_bytes) == ({Closed.SLOW: 1}, 0, 0)
    other = connections.add("a")
    Wire().serve(other)
    other.connection_lost(None)
    assert (len(connections), other.reason, closed) == (0, None, {Closed.SLOW: 1})


async def test_one_that_fell_during_its_handshake_is_aborted_behind_it(connections: Connections) -> None:
    connection = connections.add("a")
    connection.abort(Closed.EVICTED)
    assert Wire().serve(connection).take() == ["aborted"]


async def test_a_client_that_is_not_admitted_is_aborted_and_counted(
    connections: Connections, closed: Counter[Closed]
) -> None:
    asked: list[object] = []

    def admits(transport: object) -> bool:
        asked.append(transport)
        return False

    connections.admits = admits
    connection = connections.add("a")
    wire = Wire().serve(connection)
    assert (asked, wire.take()) == ([wire], ["aborted"])
    assert (connection.reason, closed, len(connections)) == (Closed.UNKNOWN, {Closed.UNKNOWN: 1}, 0)


async def test_what_has_not_begun_is_hung_up(connections: Connections) -> None:
    connection = connections.add("a")
    hung_up: list[bool] = []
    connection.hang_up = lambda: hung_up.append(True)
    connection.abort(Closed.EVICTED)
    assert hung_up == [True]


async def test_reads_count_once_they_are_large_and_only_if_they_are_the_largest(
    connections: Connections,
) -> None:
    connections.bounds = Bounds(connections=6, buffer_bytes=150_000)
    one, other = connections.add("a"), connections.add("b")
    for connection in (one, other):
        wire = Wire().serve(connection)
        for size in (16 * 1024, 60_000, 50_000):
            connection.data_received(b"x" * size)
            wire.answers.write(b"HTTP/1.1 200 OK")
    assert fallen([one, other]) == [], "60,000 each"
    other.data_received(b"x" * 90_000)
    assert fallen([one, other]) == [], "as much as may be"
    other.data_received(b"x" * 90_001)
    assert fallen([one, other]) == [0], "the idle one, as the other one is at work"
