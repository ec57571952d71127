"""How many Pods end at once, by rollouts, autoscalers and evictions, as Kubernetes itself counts."""

from typing import Any

import msgspec
import pytest

from hazelcast_sidecar.model.disruption import Autoscaler, DisruptionBudget, unavailable_in_rollout
from hazelcast_sidecar.model.workload import Strategy


@pytest.mark.parametrize(
    ("kind", "max_unavailable", "pods", "ended"),
    [
        ("Deployment", None, 3, 0),
        ("Deployment", None, 7, 1),
        ("Deployment", None, 10, 2),
        ("Deployment", "25%", 11, 2),
        ("Deployment", "30%", 10, 3),
        ("Deployment", "33%", 3, 0),
        ("Deployment", "100%", 4, 4),
        ("Deployment", "999%", 4, 4),
        ("Deployment", "25", 10, 0),
        ("Deployment", 0, 10, 0),
        ("Deployment", 3, 10, 3),
        ("Deployment", 3, 2, 2),
        ("StatefulSet", None, 10, 1),
        ("StatefulSet", "25%", 10, 2),
        ("DaemonSet", None, 10, 1),
        ("DaemonSet", "25%", 10, 3),
        ("DaemonSet", 3, None, 3),
        ("DaemonSet", "50%", None, 0),
        ("ReplicaSet", 3, 10, 0),
        ("Job", None, 10, 0),
    ],
)
def test_what_a_rollout_ends_before_there_is_a_new_pod(
    kind: str, max_unavailable: int | str | None, pods: int | None, ended: int
) -> None:
    rolling = {"rollingUpdate": {"maxUnavailable": max_unavailable}}
    assert unavailable_in_rollout(kind, msgspec.convert(rolling, Strategy), pods) == ended
    on_delete = msgspec.convert({"type": "OnDelete", **rolling}, Strategy)
    assert unavailable_in_rollout(kind, on_delete, pods) == 0
    if max_unavailable is None:
        assert unavailable_in_rollout(kind, Strategy(), pods) == ended


def autoscaler(scale_down: dict[str, Any] | None = None, least: int | None = 1, most: int = 10) -> Autoscaler:
    spec: dict[str, Any] = {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, "maxReplicas": most}
    spec |= {"minReplicas": least} if least is not None else {}
    spec |= {"behavior": {"scaleDown": scale_down}} if scale_down is not None else {}
    return msgspec.convert({"spec": spec}, Autoscaler)


def rules(*policies: tuple[str, int], select: str | None = None) -> dict[str, Any]:
    listed = [{"type": kind, "value": value, "periodSeconds": 60} for kind, value in policies]
    return {"policies": listed, **({"selectPolicy": select} if select else {})}


@pytest.mark.parametrize(
    ("scale_down", "ended"),
    [
        (None, 9),
        ({}, 9),
        ({"stabilizationWindowSeconds": 600}, 9),
        ({"selectPolicy": "Max"}, 9),
        (rules(("Percent", 100)), 9),
        (rules(("Pods", 1)), 1),
        (rules(("Pods", 20)), 9),
        (rules(("Percent", 10)), 1),
        (rules(("Percent", 11)), 2),
        (rules(("Percent", 50)), 5),
        (rules(("Percent", 300)), 9),
        (rules(("Pods", 1), ("Percent", 50)), 5),
        (rules(("Pods", 1), ("Percent", 50), select="Max"), 5),
        (rules(("Pods", 1), ("Percent", 50), select="Min"), 1),
        (rules(("Percent", 100), select="Disabled"), 0),
    ],
)
def test_what_an_autoscaler_ends_at_once(scale_down: dict[str, Any] | None, ended: int) -> None:
    assert autoscaler(scale_down).at_once == ended


@pytest.mark.parametrize(
    ("least", "most", "ended"),
    [(None, 10, 9), (0, 10, 10), (8, 10, 2), (10, 10, 0), (12, 10, 0), (0, 200, 200)],
)
def test_an_autoscaler_keeps_its_minimum(least: int | None, most: int, ended: int) -> None:
    assert autoscaler(None, least, most).at_once == ended
    assert autoscaler(rules(("Percent", 300)), least, most).at_once == ended


def budget(spec: dict[str, Any], expected: int | None = None) -> DisruptionBudget:
    status = {} if expected is None else {"status": {"expectedPods": expected}}
    return msgspec.convert({"spec": spec, **status}, DisruptionBudget)


@pytest.mark.parametrize(
    ("spec", "pods", "expected", "ended"),
    [
        ({"maxUnavailable": 1}, 10, None, 1),
        ({"maxUnavailable": 0}, 10, None, 0),
        ({"maxUnavailable": 20}, 10, None, 10),
        ({"maxUnavailable": "25%"}, 10, None, 3),
        ({"maxUnavailable": "10%"}, 10, None, 1),
        ({"minAvailable": 9}, 10, None, 1),
        ({"minAvailable": 1}, 10, None, 9),
        ({"minAvailable": 12}, 10, None, 0),
        ({"minAvailable": "50%"}, 10, None, 5),
        ({"minAvailable": "95%"}, 10, None, 0),
        ({"maxUnavailable": "10%"}, 10, 30, 3),
        ({"minAvailable": 25}, 10, 30, 5),
        ({"minAvailable": 5}, 10, 30, 10),
        ({"maxUnavailable": "50%"}, 10, 3, 5),
        ({}, 10, None, 0),
    ],
)
def test_what_evictions_end_at_once(
    spec: dict[str, Any], pods: int, expected: int | None, ended: int
) -> None:
    assert budget(spec, expected).at_once(pods) == ended


def test_which_pods_a_budget_counts() -> None:
    labels = {"app": "shop"}
    assert budget({"selector": {}}).selects(labels)
    assert budget({"selector": {"matchLabels": labels}}).selects(labels)
    assert not budget({"selector": {"matchLabels": {"app": "cart"}}}).selects(labels)
    assert not budget({}).selects(labels), "none, without a selector"
    one_of_many = {"key": "app", "operator": "In", "values": ["shop", *map(str, range(98))]}
    assert budget({"selector": {"matchExpressions": [one_of_many]}}).selects(labels)


@pytest.mark.parametrize(
    ("form", "document"),
    [
        (Autoscaler, {"spec": {"maxReplicas": 10}}),
        (Autoscaler, {"spec": {"scaleTargetRef": {"kind": "A", "name": "b"}, "maxReplicas": 10**400}}),
        (
            Autoscaler,
            {
                "spec": {
                    "scaleTargetRef": {"kind": "A", "name": "b"},
                    "maxReplicas": 10,
                    "behavior": {"scaleDown": rules(*[("Pods", 1)] * 101)},
                }
            },
        ),
        (DisruptionBudget, {"spec": {"selector": {"matchLabels": dict.fromkeys(map(str, range(101)), "v")}}}),
        (
            DisruptionBudget,
            {
                "spec": {
                    "selector": {
                        "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"] * 100}],
                    }
                }
            },
        ),
    ],
)
def test_an_object_beyond_any_honest_one_is_rejected(form: type, document: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, form)
