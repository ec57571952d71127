"""The label on Pod templates: when the webhook writes it, when it takes it away, and when it does neither."""

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.propagation import copied_annotation
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.injection.template_label import Labelling, plan, users_label
from hazelcast_sidecar.injection.uninjection import uninject
from hazelcast_sidecar.model.opt_in import asked
from hazelcast_sidecar.names import COPIED, INJECT
from tests.harness.pods import ours
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.workloads import deployment, template

REVIEWER = Reviewer()
LABELLED = {"app": "shop", INJECT: "true"}
RECORD = {COPIED: '{"label":"true"}'}

Workload = dict[str, Any]


def stored(sent: Workload, before: Workload | None = None, kind: str = "Deployment") -> Workload:
    """Review a write as the API server has it reviewed, and return what is stored."""
    group = "batch" if kind == "Job" else "apps"
    review = review_of(
        sent,
        kind={"group": group, "version": "v1", "kind": kind},
        operation="UPDATE" if before else "CREATE",
        oldObject=before,
    )
    response = response_in(REVIEWER.review_workload(json.dumps(review).encode()))
    assert response["allowed"], response
    after: Workload = patched(sent, response)
    return after


def labels(workload: Workload) -> dict[str, str]:
    found: dict[str, str] = workload["spec"]["template"]["metadata"].get("labels", {})
    return found


def with_labels(workload: Workload, given: dict[str, str]) -> Workload:
    changed = deepcopy(workload)
    changed["spec"]["template"]["metadata"]["labels"] = given
    return changed


def with_image(workload: Workload, image: str) -> Workload:
    changed = deepcopy(workload)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed


# --- whether a Pod asks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by_annotation", "by_label", "found"),
    [
        (None, None, None),
        ("true", None, "true"),
        (None, "true", "true"),
        ("false", "true", "false"),
        ("true", "false", "false"),
        (None, "yes", "yes"),
        (None, "", ""),
        ("", "true", ""),
        ("true", "yes", "true"),
    ],
)
def test_by_annotation_or_by_label_and_either_declines(
    by_annotation: str | None, by_label: str | None, found: str | None
) -> None:
    annotations = None if by_annotation is None else {INJECT: by_annotation}
    assert asked(annotations, None if by_label is None else {INJECT: by_label}) == found


# --- the plan, row by row ----------------------------------------------------------------------------------


ASKS, RECORDED, WRITTEN, CHANGES = "asks", "recorded", "written", "changes"


@pytest.mark.parametrize(
    ("label", "facts", "after"),
    [
        ("true", {ASKS, CHANGES}, Labelling("true", is_ours=False)),
        ("true", {CHANGES}, Labelling("true", is_ours=False)),
        ("false", {ASKS, RECORDED, CHANGES}, Labelling("false", is_ours=False)),
        ("true", {ASKS, RECORDED}, Labelling("true", is_ours=True)),
        ("true", {ASKS, RECORDED, WRITTEN}, Labelling("true", is_ours=True)),
        (None, {ASKS, CHANGES}, Labelling("true", is_ours=True)),
        (None, {ASKS}, Labelling(None, is_ours=False)),
        ("true", {RECORDED}, Labelling(None, is_ours=False)),
        ("true", {RECORDED, WRITTEN}, Labelling("true", is_ours=False)),
        (None, {RECORDED, CHANGES}, Labelling(None, is_ours=False)),
    ],
)
def test_what_becomes_of_the_label(label: str | None, facts: set[str], after: Labelling) -> None:
    found = plan(
        label,
        recorded=RECORDED in facts,
        written=WRITTEN in facts,
        asks=ASKS in facts,
        changes_anyway=lambda: CHANGES in facts,
    )
    assert found == after


def test_a_label_is_a_users_unless_it_is_recorded_and_no_one_wrote_it() -> None:
    assert users_label("true", recorded=True, written=False) is None
    assert users_label("true", recorded=True, written=True) == "true"
    assert users_label("true", recorded=False, written=False) == "true"
    assert users_label("false", recorded=True, written=False) == "false"


# --- workloads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotations", [(ours(), None), (None, ours())], ids=["workload", "template"])
def test_a_workload_that_is_created_is_labelled_and_loses_it_with_the_annotation(annotations: Any) -> None:
    made = stored(deployment(*annotations))
    assert labels(made) == LABELLED
    assert json.loads(made["metadata"]["annotations"][COPIED])["label"] == "true"
    bare = deepcopy(made)
    for place in (bare["metadata"], bare["spec"]["template"]["metadata"]):
        place.get("annotations", {}).pop(INJECT, None)
    after = stored(bare, made)
    assert labels(after) == {"app": "shop"}
    assert COPIED not in after["metadata"]["annotations"]


def test_annotating_a_workload_labels_it() -> None:
    assert labels(stored(deployment(ours()), deployment())) == LABELLED


def test_one_that_was_injected_without_the_label_gets_it_when_its_template_changes_and_not_before() -> None:
    """Its Pods would be replaced for nothing."""
    unlabelled = deployment(ours(), ours())
    unlabelled["metadata"]["annotations"] |= {COPIED: copied_annotation(ours(), labelled=False)}
    scaled = deepcopy(unlabelled)
    scaled["spec"]["replicas"] = 5
    scaled["metadata"]["labels"] = {"tier": "front"}
    assert stored(scaled, unlabelled) == scaled
    assert labels(stored(with_image(unlabelled, "shop:2"), unlabelled)) == LABELLED
    restarted = deepcopy(unlabelled)
    restarted["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"
    assert labels(stored(restarted, unlabelled)) == LABELLED
    unread = deepcopy(unlabelled)
    unread["spec"]["template"]["spec"]["containers"][0]["command"] = ["serve"]
    assert labels(stored(unread, unlabelled)) == LABELLED, "also where only what is not decoded differs"


def test_a_manifest_that_replaces_a_workload_without_the_label_changes_nothing() -> None:
    for manifest in (deployment(ours()), deployment(None, ours()), deployment(ours(), ours())):
        made = stored(manifest)
        assert stored(manifest, made) == made
    unlabelled = deployment(ours(), ours())
    unlabelled["metadata"]["annotations"] |= {COPIED: copied_annotation(ours(), labelled=False)}
    replaced = stored(deployment(ours()), unlabelled)
    assert replaced["spec"] == unlabelled["spec"], "its annotation is copied again, and that is no change"


def test_a_users_own_label_asks_and_stays() -> None:
    own = with_labels(deployment(), LABELLED)
    made = stored(own)
    assert made == own
    annotated = with_labels(deployment(ours(port="6000")), LABELLED)
    made = stored(annotated)
    assert labels(made) == LABELLED
    assert "label" not in json.loads(made["metadata"]["annotations"][COPIED])
    del made["metadata"]["annotations"][INJECT]
    assert labels(stored(made, annotated)) == LABELLED


def test_a_users_label_beside_a_record_stays_where_it_is_known_to_be_a_users() -> None:
    made = stored(deployment(None, ours()))
    owned: dict[str, Any] = {"f:spec": {"f:template": {"f:metadata": {"f:labels": {f"f:{INJECT}": {}}}}}}
    made["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": owned}]
    bare = deepcopy(made)
    del bare["spec"]["template"]["metadata"]["annotations"][INJECT]
    assert labels(stored(bare, made)) == LABELLED


def test_a_label_that_declines_takes_the_copies_away() -> None:
    made = stored(deployment(ours()))
    declined = with_labels(made, {"app": "shop", INJECT: "false"})
    after = stored(declined, made)
    assert labels(after) == {"app": "shop", INJECT: "false"}
    assert INJECT not in after["spec"]["template"]["metadata"].get("annotations", {})


def test_a_wrong_label_is_denied_at_once() -> None:
    review = review_of(
        with_labels(deployment(), {INJECT: "yes"}),
        kind={"group": "apps", "version": "v1", "kind": "Deployment"},
    )
    reviewed = REVIEWER.review_workload(json.dumps(review).encode())
    assert reviewed.decision.reason == Reason.INVALID
    assert f'{INJECT}: "yes" is none of' in response_in(reviewed)["status"]["message"]


def test_a_jobs_template_gets_the_label_when_it_is_created_and_never_later() -> None:
    job = {"metadata": {"name": "shop"}, "spec": {"template": template(ours(), restartPolicy="Never")}}
    assert labels(stored(job, kind="Job")) == LABELLED
    noted = {**job, "metadata": {"name": "shop", "annotations": {"note": "x"}}}
    assert stored(noted, job, kind="Job") == noted


def test_a_template_without_metadata_can_be_labelled() -> None:
    sent = deployment(ours())
    del sent["spec"]["template"]["metadata"]
    assert labels(stored(sent)) == {INJECT: "true"}


def test_uninject_takes_the_webhooks_label_out_and_leaves_a_users() -> None:
    sent = deployment(None, ours())
    made = stored(sent)
    undone = uninject(made).of(made)
    assert undone["spec"] == sent["spec"]
    assert not undone["metadata"].get("annotations")
    own = with_labels(sent, LABELLED)
    assert uninject(own).of(own) == own


@pytest.mark.parametrize("record", ["no JSON", "[]", '{"label":1}', '{"label":"yes"}'])
def test_a_broken_record_says_nothing_of_the_label(record: str) -> None:
    made = with_labels(deployment({COPIED: record}), LABELLED)
    assert labels(stored(made)) == LABELLED


# --- Pods that ask by the label alone ----------------------------------------------------------------------


def test_a_pod_without_any_annotation_is_injected_by_its_label() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "labels": {INJECT: "true"}},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    response = response_in(REVIEWER.review_pod(json.dumps(review_of(pod)).encode()))
    after = patched(pod, response)
    assert [each["name"] for each in after["spec"]["initContainers"]] == ["hazelcast"]
    again = response_in(REVIEWER.review_pod(json.dumps(review_of(after)).encode()))
    assert again["auditAnnotations"] == {"outcome": "already-injected"}
    assert (
        msgspec.json.decode(after["metadata"]["annotations"]["sidecar.hazelcast.com/status"])["group"]
        == "shop"
    )
