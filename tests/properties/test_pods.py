"""Properties of injection that hold for every Pod."""

import json
from base64 import b64decode
from random import Random
from typing import Any

import jsonpatch
from hypothesis import assume, event, given
from hypothesis import strategies as st

from hazelcast_sidecar.injection.pod_decision import Deny, Inject, Reason, Skip
from hazelcast_sidecar.injection.reviewer import Reviewed, Reviewer
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.strategies import PREFIX, Document, pods, shuffled, valid_annotations
from tests.properties.oracle import DEFAULT_GRACE, injected

REVIEWER = Reviewer()


def review(pod: Document, reviewer: Reviewer = REVIEWER) -> Reviewed:
    return reviewer.review_pod(json.dumps(review_of(pod)).encode())


def stored(pod: Document, reviewer: Reviewer = REVIEWER) -> Document:
    """The Pod as it is stored; one that is denied is out of the question."""
    response = response_in(review(pod, reviewer))
    assume(response["allowed"])
    after: Document = patched(pod, response)
    return after


@given(pods())
def test_injecting_twice_is_injecting_once(pod: Document) -> None:
    before = review(pod)
    assume(not isinstance(before.decision, Deny))
    again = review(patched(pod, response_in(before)))
    if isinstance(before.decision, Inject):
        assert again.decision == Skip(Reason.ALREADY_INJECTED)
    else:
        assert again.decision == before.decision
    assert "patch" not in response_in(again)


@given(pods())
def test_the_patch_makes_the_pod_that_is_described(pod: Document) -> None:
    reviewed = review(pod)
    event(reviewed.decision.reason)
    expected = injected(pod, reviewed.decision) if isinstance(reviewed.decision, Inject) else pod
    assert patched(pod, response_in(reviewed)) == expected


@given(pods(), st.sampled_from(["one", "two"]))
def test_a_kept_patch_is_the_one_that_would_be_made_anew(pod: Document, name: str) -> None:
    named = {**pod, "metadata": {**pod["metadata"], "name": name}}
    assert stored(named) == stored(named, Reviewer())


@given(pods())
def test_a_pod_is_denied_in_one_line_and_without_a_patch(pod: Document) -> None:
    reviewed = review(pod)
    response = response_in(reviewed)
    assert response["allowed"] is not isinstance(reviewed.decision, Deny)
    if not response["allowed"]:
        assert response.keys() == {"uid", "allowed", "auditAnnotations", "status"}
        assert response["status"]["message"].startswith("Pod shop")
        assert response["status"]["message"].isprintable()


REPLACED = {"/spec/terminationGracePeriodSeconds", f"/metadata/annotations/{PREFIX.replace('/', '~1')}status"}


@given(pods(valid_annotations))
def test_no_operation_overwrites_what_is_there(pod: Document) -> None:
    """Neither the Pod's own nor what another operation has added; a null counts as nothing."""
    response = response_in(review(pod))
    now: Any = pod
    for operation in json.loads(b64decode(response.get("patch", "W10="))):
        assert operation["op"] == "add"
        if operation["path"] not in REPLACED:
            assert at(now, operation["path"]) in (None, operation["value"]), operation
        now = jsonpatch.apply_patch(now, [operation])


def at(document: Any, path: str) -> Any:
    """What an `add` there would replace; nothing in a list, as it moves the others on."""
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    for step in steps:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return None if isinstance(document, list) else document.get(last)


@given(pods())
def test_what_a_pod_had_is_still_there_unchanged_and_in_order(pod: Document) -> None:
    after = stored(pod)
    had, has = pod["spec"], after["spec"]
    assert is_within(had.get("volumes"), has.get("volumes"))
    for part in ("initContainers", "containers"):
        assert is_within(without_env(had.get(part)), without_env(has.get(part)))
    env = {each["name"]: each.get("env") for each in has["containers"]}
    for each in had["containers"]:
        assert is_within(each.get("env"), env[each["name"]])
    for part in ("labels", "annotations"):
        left = after["metadata"].get(part) or {}
        assert (pod["metadata"].get(part) or {}).items() <= left.items()
    own = had.get("terminationGracePeriodSeconds")
    grace = has.get("terminationGracePeriodSeconds")
    assert grace == own or grace > (DEFAULT_GRACE if own is None else own)
    changed = {"volumes", "initContainers", "containers", "terminationGracePeriodSeconds"}
    assert {key: has[key] for key in has if key not in changed} == {
        key: had[key] for key in had if key not in changed
    }


def is_within(few: list[Any] | None, many: list[Any] | None) -> bool:
    """Whether all of the few are among the many, in the same order."""
    left = iter(many or [])
    return all(each in left for each in few or [])


def without_env(containers: list[Document] | None) -> list[Document]:
    return [{key: value for key, value in each.items() if key != "env"} for each in containers or []]


@given(pods(), st.integers(0, 2**32))
def test_the_order_of_keys_decides_nothing(pod: Document, seed: int) -> None:
    one, other = review(pod), review(shuffled(pod, Random(seed)))  # noqa: S311 - an order
    if isinstance(one.decision, Deny):
        assert isinstance(other.decision, Deny)
        assert other.decision.reason == one.decision.reason
        assert {problem.where for problem in other.decision.problems} == {
            problem.where for problem in one.decision.problems
        }
    else:
        assert other.body == one.body
