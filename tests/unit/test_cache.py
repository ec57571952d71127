"""A cache's one rule: within its bounds, what is used stays."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.cache import Cache, _size
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.names import COPIED
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours, pod
from tests.harness.reviews import review_of

KEYS = st.tuples(st.text(max_size=3), st.binary(max_size=40))


@given(st.lists(st.tuples(KEYS, st.binary(max_size=200)), max_size=100))
def test_it_keeps_within_its_bounds_keys_included(entries: list[tuple[tuple[str, bytes], bytes]]) -> None:
    cache = Cache[tuple[str, bytes], bytes](entries=20, size=64_000)
    last = {}
    for key, value in entries:
        if cache.get(key) is None:
            cache.put(key, value)
            last[key] = value
        assert cache.get(key) == last[key]
        assert len(cache) <= 20


def test_the_bytes_of_keys_count() -> None:
    cache = Cache[tuple[str, ...], bytes](entries=1000, size=1_000_000)
    for number in range(1000):
        cache.put((f"{number}" * 3000,), b"")
    kept = [key for number in range(1000) if cache.get(key := (f"{number}" * 3000,)) is not None]
    assert 0 < sum(sys.getsizeof(key[0]) for key in kept) < 1_000_000


NESTED = st.recursive(
    st.text(max_size=6) | st.booleans() | st.none() | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=5).map(tuple),
)


@given(NESTED)
def test_no_object_takes_more_than_is_counted(obj: object) -> None:
    def walked(part: object) -> int:
        return sys.getsizeof(part) + (sum(map(walked, part)) if isinstance(part, tuple) else 0)

    assert walked(obj) <= _size((obj,))


def test_half_of_the_entries_go_when_there_are_too_many() -> None:
    cache, kept = Cache[str, bytes](entries=4, size=1_000_000), []
    for number in range(7):
        cache.put(f"{number}", b"x")
        kept.append(len(cache))
    assert kept == [1, 2, 3, 4, 3, 4, 3]


def test_an_entry_takes_a_64th_of_the_bytes_at_most_its_place_included() -> None:
    values = [str(number).zfill(1000).encode() for number in range(66)]
    takes = sys.getsizeof("00") + sys.getsizeof(values[0]) + 200
    for size, kept in ((64 * takes, True), (64 * takes - 1, False)):
        cache = Cache[str, bytes](entries=1000, size=size)
        cache.put("00", values[0])
        assert (cache.get("00") is not None) is kept
    cache = Cache[str, bytes](entries=1000, size=64 * takes)
    for number, value in enumerate(values, 10):
        cache.put(str(number), value)
    assert len(cache) == 34, "the first half has gone as the 65th came"


def test_what_is_too_large_pushes_nothing_out() -> None:
    cache = Cache[str, bytes](entries=100, size=64_000)
    cache.put("small", b"x")
    cache.put("large", b"x" * 2000)
    assert cache.get("large") is None
    assert cache.get("small") == b"x"


def test_what_is_used_outlasts_what_is_not() -> None:
    cache = Cache[str, bytes](entries=100, size=1_000_000)
    cache.put("used", b"x")
    for number in range(1000):
        cache.put(f"{number}", b"y")
        assert cache.get("used") == b"x"
    assert cache.get("0") is None


@pytest.mark.heavy
def test_many_sets_of_annotations_do_not_flush_those_of_others() -> None:
    """A tenant can have as many as it likes; each used to empty the cache of all when it was full."""
    reviewer, names = Reviewer(), ["theirs", *(f"group-{number}" for number in range(1100))]
    bodies = [json.dumps(review_of(pod(ours(group=name)))).encode() for name in names]
    first = reviewer.review_pod(bodies[0]).decision
    for body in bodies[1:]:
        reviewer.review_pod(body)
        assert reviewer.review_pod(bodies[0]).decision.spec is first.spec  # type: ignore[union-attr]


def test_large_annotations_are_read_each_time_and_not_kept() -> None:
    """Those of 1,024 Pods would keep 200 MB."""
    defaults = DefaultSpecs(Settings()).of("default")
    small, large = ours(), ours() | {COPIED: "x" * 200_000}
    assert parse(small, defaults) is parse(small, defaults)
    assert isinstance(parse(large, defaults), SidecarSpec)
    assert parse(large, defaults) is not parse(large, defaults)


@pytest.mark.heavy
def test_pods_whose_containers_set_our_variables_leave_little() -> None:
    """Forty of them left 400 MiB of keys."""
    reviewer = Reviewer()
    variables = [{"name": "HAZELCAST_ADDRESS"}] * 20_000
    for number in range(40):
        spec: dict[str, Any] = {"containers": [{"name": "a", "env": variables}]}
        reviewer.review_pod(json.dumps(review_of(pod(ours(group=f"g{number}"), **spec))).encode())
    kept = reviewer._kept  # noqa: SLF001 - what is kept is the point
    assert sum(size for _, size in kept._young.values()) < 1_000_000  # noqa: SLF001
