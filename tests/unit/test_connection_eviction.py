"""Which connection is evicted: one of the source that takes the most."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import process_time
from timeit import repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hazelcast_sidecar.runtime.connection_eviction import NEWCOMER_SECONDS, Places, Source, evicted_for_bytes
from hazelcast_sidecar.runtime.connections import Bounds, Closed, Connection, Connections

PLACES = 8
Step = tuple[str, int]


@dataclass(eq=False)
class Seen:
    """What a test knows of a connection."""

    connection: Connection
    source: str
    came: float
    last_answer: float | None = None


@dataclass
class Port:
    """Connections with a clock that stands still, and the same beside it as a plain list."""

    connections: Connections
    now: float = 0.0
    open: list[Seen] = field(default_factory=list)

    def connect(self, source: str) -> None:
        before = list(self.open)
        self.open.append(Seen(self.connections.add(source), source, self.now))
        evicted = [each for each in before if each.connection.reason]
        self.open = [each for each in self.open if each not in evicted]
        assert len(evicted) == max(0, len(before) + 1 - PLACES)
        for each in evicted:
            assert each.connection.reason is Closed.EVICTED
            assert_fair(each, before, self.now)

    def answer(self, number: int) -> None:
        self.now += 0.001  # no two at once: the order would be open
        seen = self.open[number % len(self.open)]
        seen.connection.has_answered()
        seen.last_answer = self.now

    def end(self, number: int) -> None:
        self.open.pop(number % len(self.open)).connection.end()


def assert_fair(evicted: Seen, among: list[Seen], now: float) -> None:
    """Say it once more, by counting."""
    newcomers = [each for each in among if each.last_answer is None]
    own = [each for each in among if each.source == evicted.source]
    own_newcomers = [each for each in own if each in newcomers]
    own_established = [each for each in own if each not in newcomers]
    half = 2 * len(newcomers) >= len(among)
    counted = Counter(each.source for each in (newcomers if half else among))
    assert counted[evicted.source] == max(counted.values()), "another source has more"
    oldest = min(own_newcomers, key=lambda each: each.came, default=None)
    may_stay = oldest and now - oldest.came < NEWCOMER_SECONDS and 2 * len(own_newcomers) < len(own)
    if half or not own_established or (oldest and not may_stay):
        assert evicted is oldest
    else:
        assert evicted is min(own_established, key=lambda each: each.last_answer or 0)


async def replay(steps: list[Step]) -> None:
    port = Port(Connections(Bounds(connections=PLACES)))
    port.connections.now = lambda: port.now
    for what, number in steps:
        port.now += 0.001
        if what == "connect":
            port.connect(f"source {number % 4}")
        elif what == "wait":
            port.now += number * NEWCOMER_SECONDS / 8
        elif port.open:
            (port.answer if what == "answer" else port.end)(number)
        places = port.connections.places
        assert len(port.connections) == len(port.open) <= PLACES
        assert set(places) == {each.connection for each in port.open}
        assert sum(each.last_answer is None for each in port.open) == sum(
            each.connection in each.connection.source.newcomers for each in port.open
        )
    for each in list(port.open):
        each.connection.end()
    assert (len(places), list(places)) == (0, [])


KINDS = st.sampled_from(["connect", "connect", "connect", "answer", "end", "wait"])


@given(st.lists(st.tuples(KINDS, st.integers(0, 7)), min_size=1, max_size=60))
@example([("connect", 0), ("answer", 0)] * PLACES + [("connect", 1), ("connect", 0)])
@example([("connect", number) for number in range(2 * PLACES)])
def test_whatever_happens_the_evicted_one_is_of_the_source_with_the_most(steps: list[Step]) -> None:
    asyncio.run(replay(steps))


@dataclass(eq=False)
class Request:
    """A holder of bytes."""

    source: Source[object]
    buffered_bytes: int
    since: float


SOURCES: list[Source[object]] = [Source(name) for name in "abcd"]


@given(
    st.lists(st.builds(Request, st.sampled_from(SOURCES), st.integers(1, 9), st.integers(0, 99))),
    st.integers(-5, 99),
)
def test_bytes_are_given_back_by_the_source_that_holds_the_most(holders: list[Request], excess: int) -> None:
    evicted = evicted_for_bytes(holders, excess)
    left = list(holders)
    for victim in evicted:
        assert (
            sum(each.buffered_bytes for each in holders) - sum(each.buffered_bytes for each in left) < excess
        ), "one too many"
        bytes_ = Counter[Source[object]]()
        for each in left:
            bytes_[each.source] += each.buffered_bytes
        assert bytes_[victim.source] == max(bytes_.values())
        assert victim.since == min(each.since for each in left if each.source is victim.source)
        left.remove(victim)
    assert not left or sum(each.buffered_bytes for each in evicted) >= excess


def seconds_to_choose(sources: int) -> float:
    """The least CPU time that 200 newcomers took when all places are taken."""
    places: Places[int] = Places()
    of_source = {number: places.add(number, str(number % sources), 0) for number in range(1000)}

    def come_and_go(number: int) -> None:
        evicted = places.first_to_go(0)
        places.remove(evicted, of_source.pop(evicted))
        of_source[number] = places.add(number, str(number % sources), 0)

    numbers = iter(range(1000, 1_000_000))
    return min(repeat(lambda: come_and_go(next(numbers)), timer=process_time, number=200, repeat=50))


@pytest.mark.heavy
def test_a_choice_takes_no_longer_with_many_sources() -> None:
    assert seconds_to_choose(900) < 4 * seconds_to_choose(2)
