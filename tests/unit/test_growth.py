"""How many containers, volumes and elements a review may have, and which reviews are denied for more."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hazelcast_sidecar.injection.excess import MAX_CONTAINERS, MAX_VOLUMES
from hazelcast_sidecar.injection.pod_decision import Deny, Reason, Restore, Skip
from hazelcast_sidecar.injection.reviewer import Reviewed, Reviewer
from hazelcast_sidecar.limits import MAX_VALUES, has_too_many_values
from tests.harness.pods import ours, pod
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.torn import TEARS

REVIEWER = Reviewer()


@pytest.mark.parametrize(
    ("spec", "where", "sentence"),
    [
        (
            {"containers": [{"name": "a"}] * MAX_CONTAINERS, "initContainers": [{}]},
            "spec.containers",
            "has 1,001 containers and init containers; a Pod with a member can have 1,000: remove some",
        ),
        ({"volumes": [{}] * (MAX_VOLUMES + 1)}, "spec.volumes", "has 1,001 volumes"),
    ],
)
def test_a_pod_with_more_than_a_kubelet_runs_is_denied(
    spec: dict[str, Any], where: str, sentence: str
) -> None:
    reviewed = REVIEWER.review_pod(json.dumps(review_of(pod(**spec))).encode())
    assert isinstance(reviewed.decision, Deny)
    assert reviewed.decision.reason == Reason.TOO_LARGE
    (problem,) = reviewed.decision.problems
    assert problem.where == where
    assert problem.sentence.startswith(sentence)
    for annotations in ({}, ours(inject="false")):
        left = REVIEWER.review_pod(json.dumps(review_of(pod(annotations, **spec))).encode())
        assert isinstance(left.decision, Skip)


@pytest.mark.heavy
@pytest.mark.parametrize("native", ["true", "false"])
def test_what_was_injected_does_not_count(native: str) -> None:
    """Beside as many containers and volumes as there may be, and wherever the member is."""
    spec = {
        "containers": [{"name": f"app-{number}"} for number in range(MAX_CONTAINERS)],
        "volumes": [{"name": f"volume-{number}", "emptyDir": {}} for number in range(MAX_VOLUMES)],
    }
    body = json.dumps(review_of(pod(ours(native_sidecar=native), **spec))).encode()
    torn = patched(pod(ours(native_sidecar=native), **spec), response_in(REVIEWER.review_pod(body)))
    TEARS["a variable"](torn)
    again = REVIEWER.review_pod(json.dumps(review_of(torn)).encode())
    assert isinstance(again.decision, Restore)
    for part in ("containers", "volumes"):
        one_more = deepcopy(torn)
        one_more["spec"][part].append({"name": "another"})
        reviewed = REVIEWER.review_pod(json.dumps(review_of(one_more)).encode())
        assert reviewed.decision.reason == Reason.TOO_LARGE


def test_many_members_count() -> None:
    members = [{"name": "hazelcast", "env": [{"name": "HAZELCAST_CONFIG"}]}] * (MAX_CONTAINERS + 2)
    volumes = [{"name": "hazelcast-tmp"}] * (MAX_VOLUMES + 2)
    body = json.dumps(review_of(pod(containers=members, volumes=volumes))).encode()
    decision = REVIEWER.review_pod(body).decision
    assert isinstance(decision, Deny)
    assert [problem.where for problem in decision.problems] == ["spec.containers", "spec.volumes"]


# --- objects that are not decoded --------------------------------------------------------------------------

BULK: dict[str, Any] = {"tolerations": [{}] * MAX_VALUES}


def workload(own: dict[str, str], template: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop", "annotations": own, **metadata},
        "spec": {"template": pod(template, **BULK)},
    }


def of_workload(now: object, before: object = None) -> Reviewed:
    about = {"group": "apps", "version": "v1", "kind": "Deployment"}
    request = review_of(now, kind=about, oldObject=before, operation="UPDATE" if before else "CREATE")
    return REVIEWER.review_workload(json.dumps(request).encode())


@pytest.mark.parametrize(
    ("annotations", "operation", "reason"),
    [
        ({}, "CREATE", Reason.NOT_REQUESTED),
        (ours(inject="false"), "CREATE", Reason.DECLINED),
        (ours(), "UPDATE", Reason.NOT_A_CREATION),
        (ours(), "CREATE", Reason.TOO_LARGE),
        (ours(inject="yes"), "CREATE", Reason.TOO_LARGE),
    ],
)
def test_a_pod_with_too_many_elements_is_denied_where_it_asks_for_a_member(
    annotations: dict[str, str], operation: str, reason: Reason
) -> None:
    body = json.dumps(review_of(pod(annotations, **BULK), operation=operation)).encode()
    reviewed = REVIEWER.review_pod(body)
    assert reviewed.decision.reason == reason
    response = response_in(reviewed)
    assert response["allowed"] is (reason != Reason.TOO_LARGE)
    if not response["allowed"]:
        said = response["status"]["message"]
        assert said.startswith("Pod shop-6d4b75cb6d-*: $: has more than 250,000 elements")
        assert said.endswith("or remove sidecar.hazelcast.com/inject")


OFF = ours(inject="false")
COPIED = {"sidecar.hazelcast.com/copied": "{}"}


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        (workload({}, {}), None, Reason.NOT_REQUESTED),
        (workload(OFF, {}), None, Reason.NOT_REQUESTED),
        (workload(ours(), {}), None, Reason.TOO_LARGE),
        (workload({}, ours()), None, Reason.TOO_LARGE),
        (workload(ours(), OFF), None, Reason.NOT_REQUESTED),
        (workload(OFF, ours()), None, Reason.TOO_LARGE),
        (workload({}, ours(inject="")), None, Reason.TOO_LARGE),
        (workload(ours() | COPIED, OFF), None, Reason.TOO_LARGE),
        (workload(COPIED, {}), None, Reason.TOO_LARGE),
        (workload(ours(), {}), {"metadata": {}, "spec": {}}, Reason.TOO_LARGE),
        (workload(ours(), {}), workload({}, ours()), Reason.NO_WORSE),
        (workload(ours(), {}, deletionTimestamp="2026-11-27T00:00:00Z"), None, Reason.DELETING),
    ],
)
def test_a_workload_with_too_many_elements_is_denied_where_it_was_none_before(
    now: object, before: object, reason: Reason
) -> None:
    reviewed = of_workload(now, before)
    assert reviewed.decision.reason == reason
    assert response_in(reviewed)["allowed"] is (reason != Reason.TOO_LARGE)


def test_a_cron_job_with_too_many_elements_is_known_by_its_template() -> None:
    obj = {"metadata": {}, "spec": {"jobTemplate": {"spec": {"template": pod(**BULK)}}}}
    about = {"group": "batch", "version": "v1", "kind": "CronJob"}
    reviewed = REVIEWER.review_workload(json.dumps(review_of(obj, kind=about)).encode())
    assert reviewed.decision.reason == Reason.TOO_LARGE


def test_json_in_texts_is_no_element() -> None:
    """As in arguments, and in what `kubectl apply` records."""
    text = json.dumps([{"a": [1, 2], 'b"': "c,{["}] * 65_000)
    obj = pod(containers=[{"name": "app", "args": [text]}])
    body = json.dumps(review_of(obj)).encode()
    assert body.count(b",") > MAX_VALUES
    assert REVIEWER.review_pod(body).decision.reason == Reason.INJECTED


TEXTS = st.text(st.sampled_from('a,{}[]":\\\n\u20ac'), max_size=8)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def separators(document: object) -> int:
    """Commas and opening brackets of its JSON, strings aside."""
    if isinstance(document, dict | list):
        parts = document.values() if isinstance(document, dict) else document
        return 1 + max(0, len(document) - 1) + sum(map(separators, parts))
    return 0


@pytest.mark.heavy
@settings(max_examples=settings().max_examples // 4)
@given(DOCUMENTS, st.booleans(), st.sampled_from([None, " ", 2]))
def test_values_are_counted_exactly(document: object, ascii_only: bool, indent: Any) -> None:  # noqa: FBT001
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    few = MAX_VALUES - separators(document) - 1  # of those that follow, one opens the list
    for more, too_many in ((0, False), (1, True)):
        body = f"[{text}{',1' * (few + more)}]".encode()
        assert has_too_many_values(body) is too_many
