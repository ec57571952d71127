"""Guards on the hot path's cost, as ratios to a fixed function that runs beside it: no clock decides alone.

The reference is the standard library's parser on the same bytes: in C, and the same for every commit. Each
side's fastest round counts, as whatever else the machine does only adds to the others; on a busy machine
more rounds are run, until each side had a quiet one. The limits leave a third of room; what they cost when
they were set stands in docs/performance.md.
"""

import json
import time
from collections.abc import Callable
from itertools import count
from math import inf
from timeit import Timer

import pytest

from hazelcast_sidecar.injection.reviewer import Reviewer
from tests.bench.reviews import WORKLOAD, recorded

pytestmark = pytest.mark.heavy

ROUNDS, MOST_ROUNDS = 10, 800
CALLS = 50
NEW_WORKLOAD_LIMIT = 1.6


def cost(body: bytes, measured: Callable[[], object], limit: float) -> float:
    """Measure the CPU time of a call in units of the reference's; end early when it is below the limit."""
    ours, reference = (Timer(each, timer=time.process_time) for each in (measured, lambda: json.loads(body)))
    fastest, fastest_reference = inf, inf
    for number in range(MOST_ROUNDS):
        fastest = min(fastest, ours.timeit(CALLS))
        fastest_reference = min(fastest_reference, reference.timeit(CALLS))
        if number >= ROUNDS and fastest / fastest_reference < limit:
            break
    return fastest / fastest_reference


@pytest.mark.parametrize(("size", "limit"), [("small", 0.7), ("typical", 0.45), ("large", 0.3)])
def test_another_pod_of_a_workload_costs_a_part_of_parsing_its_review(size: str, limit: float) -> None:
    review, body = Reviewer().review_pod, recorded(size).read_bytes()
    assert cost(body, lambda: review(body), limit) < limit


def test_the_first_pod_of_a_workload_costs_little_more() -> None:
    review, body, numbers = Reviewer().review_pod, recorded("typical").read_bytes(), count()

    def of_a_new_workload() -> object:
        return review(body.replace(WORKLOAD.encode(), b"w%07d" % next(numbers)))

    assert cost(body, of_a_new_workload, NEW_WORKLOAD_LIMIT) < NEW_WORKLOAD_LIMIT
