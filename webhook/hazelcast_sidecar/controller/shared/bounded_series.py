"""The bound on series of tenants' objects, of which there can be any number."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol, TypeVar

MAX_SERIES, MAX_SERIES_OF_NAMESPACE = 200, 20
"""How many there are of one metric. What has no series of its own still counts in a total."""


class InNamespace(Protocol):
    """Something of a namespace."""

    @property
    def namespace(self) -> str:
        """Return its name."""
        ...


Counted = TypeVar("Counted", bound=InNamespace)


def with_series(objects: Iterable[Counted]) -> list[Counted]:
    """Choose the objects that get a series: the first one of each namespace, then the second, and so on."""
    ranks: Counter[str] = Counter()
    by_rank: defaultdict[int, list[Counted]] = defaultdict(list)
    for each in objects:
        by_rank[ranks[each.namespace]].append(each)
        ranks[each.namespace] += 1
    chosen = [each for rank in range(MAX_SERIES_OF_NAMESPACE) for each in by_rank[rank]]
    return chosen[:MAX_SERIES]
