"""Guards on the hot path's cost, as ratios to a fixed function that runs beside it: no clock decides alone.

The reference is the standard library's parser on the same bytes: in C, and the same for every commit. Each
side's fastest round counts, as whatever else the machine does only adds to the others. The limits leave a
third of room; what they cost when they were set stands in docs/performance.md.
"""

import json
import time
from collections.abc import Callable
from itertools import count
from timeit import Timer

import pytest

from tests.bench.reviews import WORKLOAD, recorded
from webhook.review import Reviewer

ROUNDS = 40
CALLS = 50


def cost(body: bytes, measured: Callable[[], object]) -> float:
    """The CPU time of a call in units of the reference's."""
    ours, reference = (Timer(each, timer=time.process_time) for each in (measured, lambda: json.loads(body)))
    rounds = [(ours.timeit(CALLS), reference.timeit(CALLS)) for _ in range(ROUNDS)]
    return min(mine for mine, _ in rounds) / min(other for _, other in rounds)


@pytest.mark.parametrize(("size", "limit"), [("small", 0.7), ("typical", 0.45), ("large", 0.3)])
def test_another_pod_of_a_workload_costs_a_part_of_parsing_its_review(size: str, limit: float) -> None:
    review, body = Reviewer().review_pod, recorded(size).read_bytes()
    assert cost(body, lambda: review(body)) < limit


def test_the_first_pod_of_a_workload_costs_little_more() -> None:
    review, body, numbers = Reviewer().review_pod, recorded("typical").read_bytes(), count()

    def of_a_new_workload() -> object:
        return review(body.replace(WORKLOAD.encode(), b"w%07d" % next(numbers)))

    assert cost(body, of_a_new_workload) < 1.6
