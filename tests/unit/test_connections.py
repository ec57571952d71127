"""Who falls when a port has no place, or no memory, left."""

import asyncio
import itertools
from collections import Counter
from functools import partial

import pytest

from hazelcast_sidecar.runtime.connection_eviction import NEWCOMER_SECONDS
from hazelcast_sidecar.runtime.connections import Bounds, Closed, Connection, Connections
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
