"""What `hazelcast-sidecar check` says of autoscalers, budgets and rollouts, on a real API server.

The lines that it prints are applied to the objects as they are printed; then it has nothing more to say.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.names import INJECT, PREFIX
from tests.harness.checked_installation import (
    RBAC,
    VIEW,
    Check,
    Findings,
    create_pod,
    message,
    user,
    wrong,
)
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.kept_objects import wanted
from tests.harness.shipped_manifests import apply_strictly
from tests.harness.stored_workloads import replica_set, workload
from tests.harness.waiting import until

pytestmark = pytest.mark.apiserver

PASTED = "application/strategic-merge-patch+json"
"""How `kubectl patch` applies lines to a built-in kind; in an editor a person does the same."""

HASH = "5d4f9c"
FOLDERS = {
    "deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "horizontalpodautoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "poddisruptionbudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}

ALL = {
    ("PodDisruptionBudgets", "warning"),
    ("autoscalers", "warning"),
    ("rollouts", "warning"),
    ("readiness", "warning"),
}


def create(cluster: ControlPlane, kind: str, namespace: str, name: str, spec: dict[str, Any]) -> None:
    body = {"metadata": {"name": name}, "spec": spec}
    answer = cluster.request("POST", FOLDERS[kind].format(namespace), body)
    assert answer.code == 201, answer.message


def deployed(cluster: ControlPlane, namespace: str, replicas: int = 10) -> None:
    """Create a Deployment, and what its controller and that of the groups would: three of its Pods."""
    workload(cluster, namespace, "Deployment", "shop")
    patch(cluster, namespace, "deployment/shop", {"spec": {"replicas": replicas}})
    owner = replica_set(cluster, namespace, f"shop-{HASH}")
    labels = {"pod-template-hash": HASH, INJECT: "true"}
    for number in range(3):
        create_pod(cluster, namespace, f"shop-{number}", "shop", owner, labels)
    for obj in wanted(namespace, "shop", "dns").values():
        assert apply_strictly(cluster, [obj]) == []


def patch(cluster: ControlPlane, namespace: str, argument: str, lines: dict[str, Any]) -> None:
    kind, name = argument.split("/")
    answer = cluster.request("PATCH", f"{FOLDERS[kind].format(namespace)}/{name}", lines, PASTED)
    assert answer.code == 200, answer.message


def scaled(cluster: ControlPlane, namespace: str, **spec: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    create(
        cluster,
        "horizontalpodautoscaler",
        namespace,
        "shop",
        {"scaleTargetRef": target, "maxReplicas": 10, **spec},
    )


def budget(cluster: ControlPlane, namespace: str, name: str, **spec: Any) -> None:
    selector = {"matchLabels": {f"{PREFIX}group": "shop"}}
    create(cluster, "poddisruptionbudget", namespace, name, {"selector": selector, **spec})


def paste(cluster: ControlPlane, namespace: str, findings: Findings) -> None:
    """Apply the lines of each finding to the object that its fix edits."""
    for each in findings:
        if each["manifest"]:
            (argument,) = [word for word in each["fix"].split() if "/" in word][:1]
            patch(cluster, namespace, argument, yaml.safe_load(each["manifest"]))


@pytest.mark.parametrize(
    "scale_down",
    [None, {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 15}], "selectPolicy": "Max"}],
    ids=["by default", "half of them"],
)
def test_the_lines_that_are_printed_leave_nothing_to_say(
    check: Check, cluster: ControlPlane, namespace: str, scale_down: dict[str, Any] | None
) -> None:
    deployed(cluster, namespace)
    scaled(cluster, namespace, **({"behavior": {"scaleDown": scale_down}} if scale_down else {}))
    budget(cluster, namespace, "shop", minAvailable="30%")
    code, findings = check()
    assert (code, wrong(findings)) == (0, ALL)
    assert "may end 2 of 3 Pods" in message(findings, "PodDisruptionBudgets")
    ended = 5 if scale_down else 9
    assert f"team-a/shop may end {ended} of 10 Pods".replace("team-a", namespace) in message(
        findings, "autoscalers"
    )
    assert "a rollout may end 2 Pods" in message(findings, "rollouts")
    assert "no container of the application has a readiness probe" in message(findings, "readiness")

    paste(cluster, namespace, findings)
    _, findings = check()
    assert wrong(findings) == set()


def test_a_late_probe_and_recreate(check: Check, cluster: ControlPlane, namespace: str) -> None:
    deployed(cluster, namespace)
    budget(cluster, namespace, "shop", maxUnavailable=1)
    probe = {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 30}
    containers = [{"name": "app", "readinessProbe": probe}]
    strategy = {"type": "Recreate", "rollingUpdate": None}
    spec = {"strategy": strategy, "template": {"spec": {"containers": containers}}}
    patch(cluster, namespace, "deployment/shop", {"spec": spec})
    _, findings = check()
    assert wrong(findings) == {("rollouts", "warning"), ("readiness", "warning")}
    assert "strategy Recreate" in message(findings, "rollouts")
    assert "readinessProbe of app up to 40 s" in message(findings, "readiness")

    paste(cluster, namespace, findings)
    _, findings = check()
    assert wrong(findings) == set()
    path = f"{FOLDERS['deployment'].format(namespace)}/shop"
    (container,) = cluster.request("GET", path).document["spec"]["template"]["spec"]["containers"]
    stored = container["readinessProbe"]
    assert stored["httpGet"]["port"] == 80
    assert (stored["periodSeconds"], stored["failureThreshold"]) == (1, 60)


def test_a_budget_of_the_controller_counts(check: Check, cluster: ControlPlane, namespace: str) -> None:
    deployed(cluster, namespace, replicas=3)
    patch(cluster, namespace, "deployment/shop", QUICK)
    _, findings = check()
    assert wrong(findings) == {("PodDisruptionBudgets", "warning")}
    (fix,) = [each["fix"] for each in findings if each["check"] == "PodDisruptionBudgets"]
    assert fix.startswith(
        f"kubectl -n {namespace} annotate deployment/shop {PREFIX}disruption-budget=true  #"
    )
    budget(cluster, namespace, "hazelcast-shop", maxUnavailable=1)
    assert wrong(check()[1]) == set()
    budget(cluster, namespace, "mine", maxUnavailable=1)
    assert "(hazelcast-shop, mine)" in message(check()[1], "PodDisruptionBudgets")


PROBE = {"httpGet": {"port": 80}, "periodSeconds": 1}
QUICK = {"spec": {"template": {"spec": {"containers": [{"name": "app", "readinessProbe": PROBE}]}}}}


@pytest.mark.usefixtures("installation")
def test_an_object_beyond_any_honest_one_is_a_finding(cluster: ControlPlane, namespace: str) -> None:
    """The API server takes a selector of any length; the group beside it is checked all the same."""
    deployed(cluster, namespace)
    scaled(cluster, namespace)
    selector = {"matchLabels": {f"key-{number}": "x" for number in range(200)}}
    create(cluster, "poddisruptionbudget", namespace, "long", {"selector": selector, "maxUnavailable": 1})
    done = run_here("check", "--kubeconfig", str(cluster.kubeconfig))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    said = {" ".join(rest) for state, *rest in lines if state == "skipped"}
    assert any(
        each.startswith(
            "PodDisruptionBudgets (some): not checked: 1 object, such as PodDisruptionBudget "
            f"{namespace}/long: it cannot be read"
        )
        for each in said
    ), done.stdout
    assert "may end 3 of 3 Pods of the group" in done.stdout
    assert "may end 9 of 10 Pods" in done.stdout


# --- who may not see everything ----------------------------------------------------------------------------


def until_in_force(check: Callable[[], tuple[int, Findings]], name: str) -> Findings:
    """Check until a role counts, as of which a check is no longer skipped."""
    last: list[Findings] = []

    def seen() -> bool:
        last[:] = [check()[1]]
        return not message(last[0], name).startswith("not checked")

    until(60, f"{name} is checked", seen)
    return last[0]


def test_a_viewer_of_one_namespace_has_its_groups_checked(
    check: Check, cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """All that takes is rights in that namespace."""
    deployed(cluster, namespace)
    scaled(cluster, namespace)
    tenant = user(cluster, tmp_path, "tenant", "RoleBinding", VIEW, namespace)
    asked = partial(check, "--namespace", namespace, kubeconfig=tenant)
    findings = until_in_force(asked, "rollouts")
    assert wrong(findings) >= ALL
    skipped = {each["check"]: each["message"] for each in findings if each["state"] == "skipped"}
    assert skipped["other namespaces"] == (
        f"not checked: Pods of other namespaces than {namespace}: you may not list pods"
    )
    assert message(findings, "objects") == "2 exist for injected Pods, all managed by the controller"
    of_groups = {"missed", "objects", "requests", "headless Services", "NetworkPolicies"}
    assert not {*dict(ALL), *of_groups - {"NetworkPolicies"}} & skipped.keys()
    assert message(check("-n", "default", kubeconfig=tenant)[1], "rollouts") == (
        "not checked: you may not list pods"
    ), "and of no other"


def test_a_user_who_may_read_pods_and_neither_autoscalers_nor_budgets(
    check: Check, cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    deployed(cluster, namespace)
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    body = {"metadata": {"name": "pods-only"}, "rules": [rule]}
    assert cluster.request("POST", f"{RBAC}/clusterroles", body).code in (201, 409)
    few = user(cluster, tmp_path, "few", "ClusterRoleBinding", "pods-only")
    findings = until_in_force(partial(check, kubeconfig=few), "missed")
    assert message(findings, "autoscalers") == "not checked: you may not list horizontalpodautoscalers"
    assert message(findings, "PodDisruptionBudgets") == "not checked: you may not list poddisruptionbudgets"
    for name in ("rollouts", "readiness"):
        assert message(findings, f"{name} (some)") == (
            f"not checked: 1 object, such as Deployment {namespace}/shop: you may not get deployments"
        )
