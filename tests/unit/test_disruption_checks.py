"""Checks of what ends several members at once, by snapshots; real objects are in tests/apiserver."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
import yaml

from hazelcast_sidecar.checks import disruptions, evictions, pods
from hazelcast_sidecar.checks.results import CheckResult, State, Unread
from hazelcast_sidecar.checks.runner import OF_INSTALLATION, findings
from hazelcast_sidecar.checks.snapshot import ObjectName, Snapshot
from hazelcast_sidecar.checks.workloads import rolling_workloads
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model.disruption import Autoscaler, DisruptionBudget
from hazelcast_sidecar.names import GROUP, PREFIX
from hazelcast_sidecar.owners import OwnerReference
from tests.unit.snapshots import EMPTY, injected, rolling, settings, with_pods

SHOP = ObjectName("Deployment", "team-a", "shop")
LOST = "and each entry has 1 backup: entries that they cannot hand over can be lost"


def ten(**changed: Any) -> list[Metadata]:
    return [injected(f"shop-{number}", **changed) for number in range(10)]


def annotated(listed: list[Metadata], **given: str) -> list[Metadata]:
    for pod in listed:
        pod.known_annotations |= {f"{PREFIX}{name.replace('_', '-')}": text for name, text in given.items()}
    return listed


def autoscaler(most: int = 10, *, kind: str = "Deployment", name: str = "shop", **down: Any) -> Autoscaler:
    spec = {"scaleTargetRef": {"kind": kind, "name": name}, "minReplicas": 2, "maxReplicas": most}
    return msgspec.convert({"spec": {**spec, "behavior": {"scaleDown": down}}}, Autoscaler)


def budget(selector: dict[str, Any] | None = None, **spec: Any) -> DisruptionBudget:
    labels = {"matchLabels": {"app": "shop"}} if selector is None else selector
    return msgspec.convert({"spec": {"selector": labels, **spec}}, DisruptionBudget)


def with_autoscalers(*given: Autoscaler, namespace: str = "team-a", **annotations: str) -> Snapshot:
    named = {
        ObjectName("HorizontalPodAutoscaler", namespace, f"h{number}"): each
        for number, each in enumerate(given)
    }
    return replace(with_pods(EMPTY, *annotated(ten(), **annotations)), autoscalers=named)


def with_budgets(listed: list[Metadata], *given: DisruptionBudget, namespace: str = "team-a") -> Snapshot:
    named = {
        ObjectName("PodDisruptionBudget", namespace, f"b{number}"): each for number, each in enumerate(given)
    }
    return replace(with_pods(EMPTY, *listed), budgets=named)


def only(found: list[CheckResult], state: State = State.WARNING) -> CheckResult:
    (finding,) = found
    assert finding.state == state, finding
    return finding


# --- autoscalers -------------------------------------------------------------------------------------------


def test_an_autoscaler_that_ends_all_at_once() -> None:
    finding = only(disruptions.autoscalers(with_autoscalers(autoscaler())))
    assert finding.message == (
        "the HorizontalPodAutoscaler team-a/h0 may end 8 of 10 Pods at once (100 % every 15 s, the default), "
        f"{LOST}"
    )
    assert finding.fix.startswith("kubectl -n team-a edit horizontalpodautoscaler/h0  #")
    pasted = yaml.safe_load(finding.manifest)["spec"]["behavior"]["scaleDown"]
    assert pasted == {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    only(disruptions.autoscalers(with_autoscalers(autoscaler(**pasted))), State.OK)


def test_an_autoscaler_leaves_members_the_time_that_they_have() -> None:
    snapshot = with_autoscalers(autoscaler(), backup_count="2", shutdown_timeout="3600s")
    (policy,) = yaml.safe_load(only(disruptions.autoscalers(snapshot)).manifest)["spec"]["behavior"][
        "scaleDown"
    ]["policies"]
    assert policy == {"type": "Pods", "value": 2, "periodSeconds": 1800}


@pytest.mark.parametrize(
    ("given", "annotations", "state"),
    [
        ([], {}, State.OK),
        ([autoscaler(3)], {}, State.OK),
        ([autoscaler(4)], {}, State.WARNING),
        ([autoscaler(4)], {"backup_count": "2"}, State.OK),
        ([autoscaler(selectPolicy="Disabled")], {}, State.OK),
        ([autoscaler(name="cart")], {}, State.OK),
        ([autoscaler(kind="StatefulSet")], {}, State.OK),
        ([autoscaler(3), autoscaler(name="cart")], {}, State.OK),
        ([autoscaler(3), autoscaler(), autoscaler(5)], {}, State.WARNING),
    ],
)
def test_which_autoscalers_count(given: list[Autoscaler], annotations: dict[str, str], state: State) -> None:
    finding = only(disruptions.autoscalers(with_autoscalers(*given, **annotations)), state)
    assert ("may end" in finding.message) == (state == State.WARNING)


def test_of_several_autoscalers_the_worst_is_told() -> None:
    snapshot = with_autoscalers(autoscaler(4), autoscaler(), autoscaler(5))
    assert "team-a/h1 may end 8 of 10" in only(disruptions.autoscalers(snapshot)).message


def test_an_autoscaler_of_another_namespace_does_not_count() -> None:
    only(disruptions.autoscalers(with_autoscalers(autoscaler(), namespace="team-b")), State.OK)


def test_pods_of_one_group_with_different_backups_have_the_fewest() -> None:
    snapshot = with_autoscalers(autoscaler(4), backup_count="2")
    assert not isinstance(snapshot.pods, Unread)
    only(disruptions.autoscalers(snapshot), State.OK)
    snapshot.pods[3].known_annotations[f"{PREFIX}backup-count"] = "1"
    only(disruptions.autoscalers(snapshot))


def test_the_settings_count() -> None:
    snapshot = replace(with_autoscalers(autoscaler(4)), settings=settings('defaults: {backup-count: "2"}'))
    only(disruptions.autoscalers(snapshot), State.OK)


def test_pods_whose_annotations_are_invalid_are_reported_elsewhere() -> None:
    snapshot = with_autoscalers(autoscaler(), backup_count="many")
    only(disruptions.autoscalers(snapshot), State.OK)
    assert "it would be denied" in only(pods.drifted(snapshot)).message


# --- evictions ---------------------------------------------------------------------------------------------


def test_pods_without_a_budget() -> None:
    finding = only(evictions.budgets(with_budgets(ten())))
    assert finding.message == (
        "evictions, as those of a drained node, may end 10 of 10 Pods of the group team-a/shop at once, "
        f"{LOST} (no PodDisruptionBudget selects them)"
    )
    key = f"{PREFIX}disruption-budget"
    assert finding.fix.startswith(f"kubectl -n team-a annotate deployment/shop {key}=true  #")
    assert yaml.safe_load(finding.manifest) == {"metadata": {"annotations": {key: "true"}}}


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ([budget(maxUnavailable=1)], State.OK),
        ([budget(maxUnavailable="10%")], State.OK),
        ([budget(minAvailable=9)], State.OK),
        ([budget({}, maxUnavailable=1)], State.OK),
        ([budget({"matchLabels": {GROUP: "shop"}}, maxUnavailable=1)], State.OK),
        ([budget({"matchLabels": {"app": "cart"}}, maxUnavailable=1)], State.WARNING),
        ([budget(maxUnavailable=2)], State.WARNING),
        ([budget(minAvailable="50%")], State.WARNING),
    ],
)
def test_which_budgets_suffice(given: list[DisruptionBudget], state: State) -> None:
    only(evictions.budgets(with_budgets(ten(), *given)), state)


@pytest.mark.parametrize(
    ("lax", "spec"),
    [
        ({"maxUnavailable": "25%"}, {"maxUnavailable": 1}),
        ({"minAvailable": 2}, {"maxUnavailable": 1, "minAvailable": None}),
    ],
)
def test_a_budget_that_lets_too_many_go(lax: dict[str, Any], spec: dict[str, Any]) -> None:
    finding = only(evictions.budgets(with_budgets(ten(), budget(**lax))))
    assert finding.message.endswith("(by the PodDisruptionBudget b0)")
    assert finding.fix == "kubectl -n team-a edit poddisruptionbudget/b0  # and change:"
    pasted = yaml.safe_load(finding.manifest)["spec"]
    assert pasted == spec
    only(evictions.budgets(with_budgets(ten(), budget(**lax | pasted))), State.OK)


def test_with_two_backups_a_budget_may_let_two_go() -> None:
    listed = annotated(ten(), backup_count="2")
    only(evictions.budgets(with_budgets(listed, budget(maxUnavailable=2))), State.OK)
    finding = only(evictions.budgets(with_budgets(listed, budget(maxUnavailable=3))))
    assert yaml.safe_load(finding.manifest)["spec"] == {"maxUnavailable": 2}


def test_two_budgets_for_one_pod() -> None:
    given = budget(maxUnavailable=1), budget({"matchLabels": {GROUP: "shop"}}, maxUnavailable=1)
    finding = only(evictions.budgets(with_budgets(ten(), *given)))
    assert "(b0, b1): every eviction of them fails" in finding.message


def of_cart(listed: list[Metadata]) -> list[Metadata]:
    """The Pods are of another Deployment, in the same group."""
    owner = OwnerReference("apps/v1", "ReplicaSet", "cart-5d4f9c", "uid-of-cart", controller=True)
    for pod in listed:
        pod.owner_references, pod.labels = (owner,), {**pod.labels, "app": "cart"}
    return listed


def test_budgets_of_the_workloads_of_a_group_add_up() -> None:
    listed = [*ten()[:5], *of_cart(ten()[5:])]
    cart = budget({"matchLabels": {"app": "cart"}}, maxUnavailable=1)
    finding = only(evictions.budgets(with_budgets(listed, budget(maxUnavailable=1), cart)))
    assert "may end 2 of 10 Pods" in finding.message
    assert finding.message.endswith("(b0, b1 together let them)")
    assert finding.fix.startswith(
        "kubectl -n team-a delete poddisruptionbudget/b0 poddisruptionbudget/b1 && kubectl -n team-a "
        f"annotate deployment/shop deployment/cart {PREFIX}disruption-budget=true  #"
    )


def test_pods_that_no_budget_counts_beside_others() -> None:
    listed = [*ten()[:5], *of_cart(ten()[5:7])]
    finding = only(evictions.budgets(with_budgets(listed, budget(maxUnavailable=1))))
    assert "may end 3 of 7 Pods" in finding.message


def test_one_pod_needs_no_budget() -> None:
    only(evictions.budgets(with_budgets([injected()])), State.OK)


def test_a_group_that_asks_for_a_budget_is_left_to_the_check_of_its_objects() -> None:
    only(evictions.budgets(with_budgets(ten(disruption_budget=True))), State.OK)


@pytest.mark.parametrize("owner", ["Job", "DaemonSet", None])
def test_pods_that_no_budget_can_count(owner: str | None) -> None:
    listed = ten()
    for pod in listed:
        made = OwnerReference("batch/v1", str(owner), "shop", "uid", controller=True)
        pod.owner_references = (made,) if owner else ()
    only(evictions.budgets(with_budgets(listed)), State.OK)


def test_a_budget_of_another_namespace_does_not_count() -> None:
    only(evictions.budgets(with_budgets(ten(), budget(maxUnavailable=1), namespace="team-b")))


# --- rollouts ----------------------------------------------------------------------------------------------


def test_a_rollout_that_ends_too_many() -> None:
    snapshot = replace(with_pods(EMPTY, *ten()), workloads={SHOP: rolling(10)})
    finding = only(disruptions.rollouts(snapshot))
    assert finding.message.startswith("Deployment team-a/shop: a rollout may end 2 Pods at once (maxUna")
    assert finding.fix == "kubectl -n team-a edit deployment/shop  # and add or change:"
    pasted = yaml.safe_load(finding.manifest)["spec"]
    only(disruptions.rollouts(replace(snapshot, workloads={SHOP: rolling(10, **pasted)})), State.OK)


def test_a_rollout_of_as_many_pods_as_the_autoscaler_may_make() -> None:
    snapshot = replace(with_autoscalers(autoscaler(12)), workloads={SHOP: rolling(2)})
    assert "may end 3 Pods at once" in only(disruptions.rollouts(snapshot)).message
    only(disruptions.rollouts(replace(snapshot, autoscalers={})), State.OK)


def test_a_daemon_set_has_as_many_pods_as_there_are() -> None:
    listed = ten()
    for pod in listed:
        pod.owner_references = (OwnerReference("apps/v1", "DaemonSet", "shop", "uid", controller=True),)
    strategy: dict[str, Any] = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "20%"}}}
    name = ObjectName("DaemonSet", "team-a", "shop")
    snapshot = replace(with_pods(EMPTY, *listed), workloads={name: rolling(0, **strategy)})
    assert "DaemonSet team-a/shop: a rollout may end 2 Pods" in only(disruptions.rollouts(snapshot)).message


def test_an_application_that_is_found_ready_late() -> None:
    late: dict[str, Any] = {"template": {"spec": {"containers": [{"name": "app", "readinessProbe": {}}]}}}
    snapshot = replace(with_pods(EMPTY, *ten()), workloads={SHOP: rolling(**late)})
    finding = only(disruptions.readiness(snapshot))
    assert "readinessProbe of app up to 10 s" in finding.message
    only(disruptions.rollouts(snapshot), State.OK)
    only(disruptions.readiness(with_pods(EMPTY, *ten())), State.OK)


@pytest.mark.parametrize(
    ("kind", "name", "read"),
    [
        ("Deployment", "shop", True),
        ("StatefulSet", "shop.v2", True),
        ("DaemonSet", "shop", True),
        ("Job", "shop", False),
        ("Secret", "shop", False),
        ("Deployment", "../secrets/tls", False),
        ("Deployment", "shop?watch=true", False),
        ("Deployment", "", False),
    ],
)
def test_only_a_name_that_can_be_a_workloads_is_asked_for(kind: str, name: str, *, read: bool) -> None:
    """Whoever makes a Pod writes its owner reference, and the name becomes part of a path."""
    pod = injected()
    pod.owner_references = (OwnerReference("apps/v1", kind, name, "uid", controller=True),)
    expected = [ObjectName(kind, "team-a", name)] if read else []
    assert rolling_workloads([pod, pod]) == expected


# --- what cannot be read -----------------------------------------------------------------------------------


def test_an_object_that_cannot_be_read_is_a_finding_and_the_others_are_checked() -> None:
    unread = Unread("it cannot be read as an Autoscaler: Expected `int`, got `str`")
    snapshot = with_autoscalers(autoscaler())
    assert isinstance(snapshot.autoscalers, dict)
    for number in range(1, 3):
        snapshot.autoscalers[ObjectName("HorizontalPodAutoscaler", "team-a", f"odd{number}")] = unread
    warning, skipped = disruptions.autoscalers(snapshot)
    assert (warning.state, skipped.state) == (State.WARNING, State.SKIPPED)
    assert skipped.message == (
        "not checked: 2 objects, such as HorizontalPodAutoscaler team-a/odd1: it cannot be read as an "
        "Autoscaler: Expected `int`, got `str`"
    )


def test_a_workload_that_cannot_be_read_or_has_gone() -> None:
    snapshot = with_pods(EMPTY, *ten())
    gone = replace(snapshot, workloads={SHOP: None})
    refused = replace(snapshot, workloads={SHOP: Unread("you may not get deployments")})
    for check in (disruptions.rollouts, disruptions.readiness):
        only(check(gone), State.OK)
        assert only(check(refused), State.SKIPPED).message.endswith(
            "team-a/shop: you may not get deployments"
        )


def test_a_budget_whose_selector_cannot_be_judged_costs_no_other_group_its_check() -> None:
    odd = budget({"matchExpressions": [{"operator": "Exists"}]}, maxUnavailable=1)
    problem = only(evictions.budgets(with_budgets(ten(), odd)), State.PROBLEM)
    assert "the budgets of the group team-a/shop cannot be checked" in problem.message


def test_pods_of_other_namespaces_that_may_not_be_read_are_said() -> None:
    others = Unread("Pods of other namespaces than team-a: you may not list pods")
    snapshot = replace(with_pods(EMPTY, *ten()), other_namespaces=others)
    said = [each.message for each in findings(snapshot, OF_INSTALLATION) if each.state == State.SKIPPED]
    assert said == ["not checked: Pods of other namespaces than team-a: you may not list pods"]
    assert pods.others(EMPTY) == []
