"""Injection into objects as they stand in manifests, and out of them again."""

import json
from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hazelcast_sidecar.injection import pod_decision
from hazelcast_sidecar.injection.explanation import explain
from hazelcast_sidecar.injection.manifests import Result, inject, placed
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.reinjection import renew
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.injection.uninjection import uninject
from hazelcast_sidecar.names import STATUS
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.torn import TEARS, in_any_order
from tests.harness.workloads import template

DEFAULTS = DefaultSpecs(Settings()).of("default")
MIRRORED = DefaultSpecs(Settings(image_pull_secrets=("mirror", "other"))).of("default")
KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
}


def workload(kind: str, own: Any, of_template: Any, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "shop"} | ({} if own is None else {"annotations": own})
    obj = {"apiVersion": KINDS.get(kind, "batch/v1"), "kind": kind, "metadata": metadata}
    made = {"template": template(of_template, **spec)}
    if kind == "CronJob":
        return {**obj, "spec": {"jobTemplate": {"spec": made}}}
    return {**obj, "spec": made}


def done(obj: dict[str, Any], result: Result) -> dict[str, Any]:
    after: dict[str, Any] = jsonpatch.apply_patch(obj, list(result.operations))
    return after


def injected(obj: dict[str, Any]) -> dict[str, Any]:
    result = inject(obj, DEFAULTS, 65534)
    assert not result.problems, result.problems
    return done(obj, result)


def test_a_pod_becomes_what_the_webhook_makes_of_it() -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop", "annotations": ours()}}
    obj["spec"] = {"containers": [{"name": "app"}]}
    response = response_in(Reviewer().review_pod(json.dumps(review_of(obj)).encode()))
    here, there = injected(obj), patched(obj, response)
    record = json.loads(here["metadata"]["annotations"].pop(STATUS))
    assert record == json.loads(there["metadata"]["annotations"].pop(STATUS)) | {
        "manifest": True,
        "ownGrace": None,
    }
    assert here == there


@pytest.mark.parametrize("kind", [*KINDS, "CronJob"])
@pytest.mark.parametrize(
    ("own", "of_template"), [(ours(), None), (None, ours()), (ours(), ours(port="1234"))]
)
def test_the_template_of_a_workload_gets_its_member_and_the_webhook_finds_nothing_to_add(
    kind: str, own: Any, of_template: Any
) -> None:
    after = injected(workload(kind, own, of_template))
    template = after["spec"].get("jobTemplate", after)["spec"]["template"]
    assert [c["name"] for c in template["spec"]["initContainers"]] == ["hazelcast"]
    assert template["metadata"]["labels"]["sidecar.hazelcast.com/group"] == "shop"
    assert inject(after, DEFAULTS, 65534).operations == []
    made = {"metadata": template["metadata"] | {"name": "shop-x"}, "spec": template["spec"]}
    reviewed = Reviewer().review_pod(json.dumps(review_of(made)).encode())
    assert reviewed.decision.reason == Reason.ALREADY_INJECTED


@pytest.mark.parametrize("kind", [*KINDS, "CronJob"])
def test_what_is_missing_in_an_injected_template_is_put_back(kind: str) -> None:
    whole = injected(workload(kind, None, ours(group="shop")))
    torn = deepcopy(whole)
    template = torn["spec"].get("jobTemplate", torn)["spec"]["template"]
    for tear in ("restartPolicy", "label", "a volume", "a mount"):
        TEARS[tear](template)
    found = inject(torn, DEFAULTS, 65534)
    assert found.reason == Reason.RESTORED
    after = done(torn, found)
    assert in_any_order(after["spec"].get("jobTemplate", after)["spec"]["template"]) == in_any_order(
        whole["spec"].get("jobTemplate", whole)["spec"]["template"]
    )
    assert inject(after, DEFAULTS, 65534).operations == []
    explained = explain(torn, Settings(), "default")
    assert explained.outcome == Reason.INJECTED
    assert explained.warnings[0].endswith(
        "are restored: the label sidecar.hazelcast.com/group, restartPolicy, volumes hazelcast-tmp, "
        "volumeMounts /tmp"
    )


def test_a_status_without_its_member_is_explained_as_the_webhook_takes_it() -> None:
    explained = explain(workload("Deployment", None, ours() | {STATUS: "{}"}), Settings(), "default")
    assert explained.outcome == Reason.NO_MEMBER
    assert explained.settings == []
    assert "remove the annotation" in explained.problems[0].sentence


def test_a_budget_by_default_is_explained_where_there_is_none() -> None:
    settings = Settings(defaults={"disruption-budget": "true"})
    for kind, shown in (("Job", "false"), ("Deployment", "true")):
        explained = explain(workload(kind, None, ours()), settings, "default")
        (row,) = [row for row in explained.settings if row.name == "disruption-budget"]
        assert row.value == shown


def test_what_no_annotation_or_default_says_is_explained_by_where_it_comes_from() -> None:
    explained = explain(workload("Deployment", None, ours(memory_limit="600Mi")), Settings(), "default")
    rows = {row.name: (row.value, row.origin, row.is_default) for row in explained.settings}
    assert rows["memory-request"] == ("600Mi", "memory-limit", True)
    assert rows["group"][0] == "shop"
    assert not rows["group"][2]
    others = {
        origin for name, (_, origin, is_default) in rows.items() if is_default and name != "memory-request"
    }
    assert others == {"default"}


def test_what_does_not_ask_is_left_alone() -> None:
    assert inject(workload("Deployment", None, None), DEFAULTS, None).reason == Reason.NOT_REQUESTED


def test_problems_are_those_of_the_webhook() -> None:
    (problem,) = inject(workload("Deployment", ours(prot="1"), None), DEFAULTS, None).problems
    assert 'no such annotation (did you mean "port"?)' in problem.sentence


def test_an_annotation_without_quotes_is_told() -> None:
    obj = workload("Deployment", {"sidecar.hazelcast.com/inject": True}, None)
    for result in (inject(obj, DEFAULTS, None), uninject(obj)):
        (problem,) = result.problems
        assert problem.where == "$.metadata.annotations[...]"
        assert problem.sentence.endswith("annotations are text: put the value in quotes")


@pytest.mark.parametrize(
    ("kind", "path"), [("Pod", "$.spec.containers"), ("Deployment", "$.spec.template.spec.containers")]
)
def test_an_object_that_kubectl_would_not_take_is_refused_as_what_it_is(kind: str, path: str) -> None:
    metadata = {"name": "shop", "annotations": ours()}
    spec: dict[str, Any] = {"containers": 7}
    if kind == "Deployment":
        spec = {"template": {"metadata": {"annotations": ours()}, "spec": spec}}
    obj = {"apiVersion": KINDS.get(kind, "v1"), "kind": kind, "metadata": metadata, "spec": spec}
    for result in (inject(obj, DEFAULTS, None), uninject(obj)):
        (problem,) = result.problems
        assert problem.where == path
        assert not result.operations


def test_pods_and_workloads_are_found_in_lists_and_other_objects_are_not() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    other = {"apiVersion": "example.com/v1", "kind": "Deployment", "metadata": {"name": "b"}}
    inner = {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [workload("Deployment", None, None)]}
    document = {"apiVersion": "v1", "kind": "List", "items": [pod, other, inner, None, 1]}
    assert [(each.path, each.name) for each in placed(document)] == [
        ("/items/0", "Pod/a"),
        ("/items/2/items/0", "Deployment/shop"),
    ]
    assert list(placed(None)) == list(placed("text")) == list(placed([pod])) == []


# --- out of it again ---------------------------------------------------------------------------------------

variables = st.sampled_from(
    [
        {"name": "HAZELCAST_ADDRESS", "value": "127.0.0.1:5701"},
        {"name": "HAZELCAST_ADDRESS", "value": "elsewhere:5701"},
        {"name": "HAZELCAST_CLUSTER_NAME", "value": "dev"},
        {"name": "OTHER", "value": "x"},
    ]
)
env = st.none() | st.lists(variables, min_size=1, max_size=3, unique_by=lambda variable: variable["name"])
containers = st.lists(env, min_size=1, max_size=3).map(
    lambda envs: [{"name": f"c{i}"} | ({} if e is None else {"env": e}) for i, e in enumerate(envs)]
)
some = st.none() | st.lists(st.sampled_from([{"name": "x"}, {"name": "y"}]), min_size=1, max_size=2)
annotations = st.none() | st.sampled_from(
    [
        ours(),
        ours(native_sidecar="false"),
        ours(native_sidecar="false", shutdown_timeout="10s"),
        ours(port="6000", cluster_name="$x", group="g"),
        {"example.com/note": "x", **ours(inject="false")},
        {"example.com/note": "x"},
    ]
)
workloads = st.builds(
    lambda kind, own, of_template, containers, init, volumes, grace: workload(
        kind,
        own,
        of_template,
        containers=containers,
        **({} if init is None else {"initContainers": init}),
        **({} if volumes is None else {"volumes": volumes}),
        **({} if grace is None else {"terminationGracePeriodSeconds": grace}),
    ),
    st.sampled_from([*KINDS, "CronJob"]),
    annotations,
    annotations,
    containers,
    some,
    some,
    st.none() | st.sampled_from([0, 10, 30, 60, 90, 400]),
)


@settings(max_examples=2 * settings().max_examples)
@given(workloads)
def test_what_was_injected_comes_out_again(obj: dict[str, Any]) -> None:
    before = deepcopy(obj)
    after = injected(obj)
    assert obj == before
    assert done(after, uninject(after)) == obj
    assert uninject(obj).operations == []
    assert uninject(obj).reason == Reason.NOT_INJECTED


@pytest.mark.parametrize(
    ("own", "together"),
    [
        ({}, ["mirror", "other"]),
        ({"imagePullSecrets": None}, ["mirror", "other"]),
        ({"imagePullSecrets": []}, ["mirror", "other"]),
        ({"imagePullSecrets": [{"name": "mine"}]}, ["mine", "mirror", "other"]),
        ({"imagePullSecrets": [{"name": "other"}, {"name": "mine"}]}, ["other", "mine", "mirror"]),
        ({"imagePullSecrets": [{"name": "other"}, {"name": "mirror"}]}, ["other", "mirror"]),
    ],
)
def test_added_pull_secrets_come_out_again(own: dict[str, Any], together: list[str]) -> None:
    obj = workload("Deployment", ours(), None, **own)
    after = done(obj, inject(obj, MIRRORED, 65534))
    spec = after["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["imagePullSecrets"]] == together
    assert not renew(after, MIRRORED, 65534).changes
    assert done(after, uninject(after)) == obj
    without = renew(after, DEFAULTS, 65534).of(after)
    assert without == done(obj, inject(obj, DEFAULTS, 65534))


def test_what_is_injected_already_is_reported_and_does_not_change() -> None:
    after = injected(workload("Deployment", ours(), None))
    again = renew(after, DEFAULTS, 65534, lambda _: None)
    assert (again.reason, again.changes) == (Reason.ALREADY_INJECTED, False)
    after["metadata"]["annotations"] |= ours(port="6000")
    changed = renew(after, DEFAULTS, 65534, lambda _: None)
    assert (changed.reason, changed.changes) == (Reason.INJECTED, True)


def test_the_pods_of_a_workload_are_decided_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[Any] = []
    decide = pod_decision.decide

    def counted(*given: Any) -> pod_decision.Decision:
        decided.append(given)
        return decide(*given)

    monkeypatch.setattr(pod_decision, "decide", counted)
    assert inject(workload("Deployment", ours(), None), DEFAULTS, 65534).reason == Reason.INJECTED
    assert len(decided) == 1
