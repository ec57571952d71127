"""Eviction of connections when a port has no place, or no memory, left: fair between sources.

A source is an address, or a network of which one client may have every address. A flood costs its own source,
and connections of its own kind: never-answered ones evict never-answered ones. Choosing takes the same time
however many connections and sources there are.
"""

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

NEWCOMER_SECONDS = 1.0
"""How long a connection may stay without an answer before it is evicted in place of an answered one.

Enough for a TLS handshake and a first review, also on a busy machine.
"""

T = TypeVar("T")


class Source(Generic[T]):
    """The connections of one source, each half in the order in which they are evicted.

    Attributes:
        name: an address or a network.
        newcomers: those never answered, with their arrival times.
        established: those answered, the one answered longest ago first.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.newcomers: OrderedDict[T, float] = OrderedDict()
        self.established: OrderedDict[T, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.newcomers) + len(self.established)

    def first_to_go(self, now: float) -> T:
        """Return the newcomer that arrived first, or the connection whose last answer is the oldest.

        It is the latter while the former is young, unless newcomers are half of all: a flood of them leaves
        those that are in use half of the places, and those leave every newcomer some time.
        """
        if not self.established:
            return next(iter(self.newcomers))
        if self.newcomers:
            newcomer, came = next(iter(self.newcomers.items()))
            if now - came >= NEWCOMER_SECONDS or len(self.newcomers) >= len(self.established):
                return newcomer
        return next(iter(self.established))


class _Ranking(Generic[T]):
    """Sources ranked by a number that changes by one, with quick access to one with the largest."""

    def __init__(self) -> None:
        # By their number. The last level has a source, if any has.
        self._levels: list[dict[Source[T], None]] = [{}]

    def move(self, source: Source[T], before: int, after: int) -> None:
        """Record that a source's number has changed by one."""
        levels = self._levels
        if after == len(levels):
            levels.append({})
        if after:
            levels[after][source] = None
        if before:
            del levels[before][source]
            if not levels[-1]:
                levels.pop()  # the source is now one level below

    def first(self) -> Source[T]:
        """Return a source with the largest number; of several, the one that has had it for longest."""
        return next(iter(self._levels[-1]))


class Places(Generic[T]):
    """All connections of a port, by source."""

    def __init__(self) -> None:
        self._sources: dict[str, Source[T]] = {}
        self._by_connections: _Ranking[T] = _Ranking()
        self._by_newcomers: _Ranking[T] = _Ranking()
        self._newcomers = self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for source in self._sources.values():
            yield from source.newcomers
            yield from source.established

    def add(self, connection: T, name: str, now: float) -> Source[T]:
        """Add a newcomer, and return its source."""
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = Source(name)
        source.newcomers[connection] = now
        self._newcomers += 1
        self._count += 1
        newcomers, connections = len(source.newcomers), len(source)
        self._by_newcomers.move(source, newcomers - 1, newcomers)
        self._by_connections.move(source, connections - 1, connections)
        return source

    def establish(self, connection: T, source: Source[T]) -> None:
        """Record the first answer to a connection; `source.established` records later ones."""
        del source.newcomers[connection]
        source.established[connection] = None
        self._leaves_newcomers(source)

    def remove(self, connection: T, source: Source[T]) -> None:
        """Remove a connection."""
        if connection in source.newcomers:
            del source.newcomers[connection]
            self._leaves_newcomers(source)
        else:
            del source.established[connection]
        self._count -= 1
        connections = len(source)
        self._by_connections.move(source, connections + 1, connections)
        if not connections:
            del self._sources[source.name]

    def first_to_go(self, now: float) -> T:
        """Return the connection to evict, if there is any connection.

        It belongs to the source with the most connections. While at least half of all were never answered, it
        is one of these, from the source with the most of them: so many sources with few connections each do
        not cost another one its established connections.
        """
        if 2 * self._newcomers >= self._count:
            return next(iter(self._by_newcomers.first().newcomers))
        return self._by_connections.first().first_to_go(now)

    def _leaves_newcomers(self, source: Source[T]) -> None:
        self._newcomers -= 1
        newcomers = len(source.newcomers)
        self._by_newcomers.move(source, newcomers + 1, newcomers)


class Holder(Protocol):
    """A connection with a request in progress.

    Attributes:
        source: where it comes from.
        buffered_bytes: how many of its bytes are unanswered.
        since: when its request began.
    """

    source: Source[Any]
    buffered_bytes: int
    since: float


H = TypeVar("H", bound=Holder)


def evicted_for_bytes(holders: Iterable[H], excess: int) -> list[H]:
    """Return the connections to evict, in order, to free this many bytes.

    Each belongs to the source with the most bytes after the evictions before; of its connections, it is the
    one whose request has been in progress for longest.
    """
    by_source: dict[Source[Any], list[H]] = defaultdict(list)
    for holder in sorted(holders, key=lambda holder: -holder.since):
        by_source[holder.source].append(holder)
    # The number keeps heapq from comparing lists.
    heap = [
        (-sum(each.buffered_bytes for each in own), number, own)
        for number, own in enumerate(by_source.values())
    ]
    heapq.heapify(heap)
    evicted = []
    while excess > 0 and heap:
        bytes_, number, own = heap[0]
        victim = own.pop()
        evicted.append(victim)
        excess -= victim.buffered_bytes
        if own:
            heapq.heapreplace(heap, (bytes_ + victim.buffered_bytes, number, own))
        else:
            heapq.heappop(heap)
    return evicted
