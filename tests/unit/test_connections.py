"""Who falls when a port has no place, or no memory, left."""

from collections import Counter

import pytest

from webhook.daemon.connections import Bounds, Closed, Connection, Connections


@pytest.fixture
async def closed() -> Counter[Closed]:
    return Counter()


@pytest.fixture
async def connections(closed: Counter[Closed]) -> Connections:
    def count(reason: Closed) -> None:
        closed[reason] += 1

    return Connections(Bounds(connections=6, request_bytes=100, held_bytes=250), count)


def fallen(connections: list[Connection]) -> list[int]:
    return [number for number, connection in enumerate(connections) if connection.reason]


async def test_of_those_never_answered_the_oldest_of_the_busiest_address_falls(
    connections: Connections, closed: Counter[Closed]
) -> None:
    addresses = ["server", "a", "b", "b", "a", "b"]
    all_of_them = [connections.add(address) for address in addresses]
    newcomer = connections.add("c")
    assert fallen(all_of_them) == [2]
    assert (newcomer.reason, closed, len(connections)) == (None, {Closed.CROWDED_OUT: 1}, 6)


async def test_one_that_was_answered_stays_while_another_never_was(connections: Connections) -> None:
    all_of_them = [connections.add("a") for _ in range(6)]
    for connection in all_of_them[:4]:
        connection.has_answered()
    for _ in range(2):
        connections.add("b").has_answered()
    assert fallen(all_of_them) == [4, 5]


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
    assert (closed, connections.held) == ({Closed.MEMORY: 1}, 240)
    all_of_them[0].has_answered()
    assert connections.held == 160


async def test_one_that_sends_too_much_falls_alone(connections: Connections) -> None:
    all_of_them = [connections.add("a") for _ in range(2)]
    all_of_them[1].hold(101)
    assert fallen(all_of_them) == [1]
    assert connections.held == 0


async def test_what_has_ended_takes_no_place_however_often_it_is_told(connections: Connections) -> None:
    connection = connections.add("a")
    connection.end()
    connection.end()
    connection.has_answered()
    connection.hold(50)
    assert (len(connections), connections.held) == (0, 0)
