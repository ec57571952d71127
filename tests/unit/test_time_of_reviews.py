"""What a review costs grows no faster than the review, wherever its elements and letters are.

It compares CPU times, so the file runs alone: tests/harness/distribution.py.
"""

import gc
from collections.abc import Iterator
from statistics import median
from time import process_time

import pytest

from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.injection.pod_decision import Deny
from hazelcast_sidecar.injection.reviewer import Reviewed, Reviewer
from hazelcast_sidecar.limits import MAX_PROBLEMS
from hazelcast_sidecar.server.app import MUTATE_PODS
from tests.harness.many import SHAPES, Shape

REVIEWER = Reviewer()
SIZES = (240_000, pytest.param(3_500_000, marks=pytest.mark.slow))
"""Bytes; twice the second is about the largest review."""

FACTOR = 3.0
"""Twice as much, and what caches of a processor that others share no longer hold; four times is quadratic."""
LEAST_SECONDS = 0.02
"""What takes less is not compared: the first review that is long enough to be counted takes a step."""

PATIENCE = 10

TIMED = [shape for shape in SHAPES if "CronJob" not in shape.what]
"""A CronJob's template is read as a Deployment's."""


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Leave out what the collector does with the objects of all tests; a server freezes its own."""
    gc.disable()
    yield
    gc.enable()


def seconds(shape: Shape, body: bytes) -> float:
    """Measure the CPU time of a review, whose answer is short."""
    review = REVIEWER.review_pod if shape.path == MUTATE_PODS else REVIEWER.review_workload
    begun = process_time()
    try:
        reviewed = review(body)
    except ReviewError as error:
        said, size = [error.sentence], 0
    else:
        said, size = _said(reviewed), len(reviewed.body)
    took = process_time() - begun
    assert size < 32 * 1024
    assert len(said) <= MAX_PROBLEMS + 1
    assert max(map(len, said), default=0) < 2000
    return took


def _said(reviewed: Reviewed) -> list[str]:
    """Everything that an answer tells people."""
    decision = reviewed.decision
    if isinstance(decision, Deny):
        return [problem.sentence for problem in decision.problems]
    return [*decision.warnings]


@pytest.mark.heavy
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", TIMED, ids=lambda shape: shape.what)
@pytest.mark.usefixtures("no_garbage_collection")
def test_twice_as_much_takes_at_most_three_times_as_long(shape: Shape, size: int) -> None:
    """And is answered in a few lines, however much it is."""
    once, twice = shape.build(size), shape.build(2 * size)
    pairs: list[tuple[float, float]] = []
    for _ in range(1 + PATIENCE):
        pairs.append((seconds(shape, once), seconds(shape, twice)))
        shortest, longest = (min(times) for times in zip(*pairs, strict=True))
        if longest <= FACTOR * max(shortest, LEAST_SECONDS):
            return
    # A machine that others share is slower for seconds at a time, and then for both of a pair.
    ratio = median(longer / max(shorter, LEAST_SECONDS) for shorter, longer in pairs)
    assert ratio <= FACTOR, f"{shortest:.4f} s, and {longest:.4f} s for twice as much; {ratio:.2f} in pairs"
