"""What the webhook makes of the named Pods; that the policies make the same of them needs an API server."""

import json

import pytest

from hazelcast_sidecar.injection.pod_decision import Deny, Inject, Skip
from hazelcast_sidecar.injection.reviewer import Reviewer
from tests.harness.named_pods import DENIED, LEFT, OTHER_MEMBER, SAME
from tests.harness.pods import Pod
from tests.harness.reviews import review_of

INJECTED = SAME | OTHER_MEMBER


def decision(body: Pod) -> object:
    return Reviewer().review_pod(json.dumps(review_of(body)).encode()).decision


@pytest.mark.parametrize("name", INJECTED)
def test_it_is_injected(name: str) -> None:
    assert isinstance(decision(INJECTED[name]), Inject)


@pytest.mark.parametrize("name", LEFT)
def test_it_is_left_alone(name: str) -> None:
    assert isinstance(decision(LEFT[name]), Skip)


@pytest.mark.parametrize("name", DENIED)
def test_it_is_denied(name: str) -> None:
    assert isinstance(decision(DENIED[name].body), Deny)
