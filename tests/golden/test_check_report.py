"""Golden files of what `hazelcast-sidecar check` prints: check/NAME.report, of a snapshot that is made here.

`pytest tests/golden --update` writes them anew; read the difference before committing it.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from hazelcast_sidecar.checks.preflight import PARTS
from hazelcast_sidecar.checks.rbac import CONTROLLER_RIGHTS
from hazelcast_sidecar.checks.report import lines
from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.checks.runner import BEFORE, OF_INSTALLATION, Check, findings
from hazelcast_sidecar.checks.snapshot import DryRun, ObjectName, Snapshot
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model.disruption import Autoscaler, DisruptionBudget
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.owners import OwnerReference
from tests.unit.snapshots import (
    EMPTY,
    HEALTHY,
    NOW,
    configuration,
    deployment,
    injected,
    lease,
    node,
    pod_without_member,
    policy,
    rolling,
    settings,
    with_pods,
)

REPORTS = Path(__file__).parent / "check"


def broken() -> Snapshot:
    """One with a fault of every kind."""
    used = with_pods(EMPTY, injected(), injected("cart-1", group="cart", fingerprint="of-yesterday"))
    assert isinstance(used.existing_objects, dict)
    shop, cart = (ObjectName("Service", "team-a", f"hazelcast-{name}") for name in ("shop", "cart"))
    blank: dict[str, Any] = configuration()
    blank["webhooks"][0]["clientConfig"].pop("caBundle")
    blank["webhooks"][-1]["matchConditions"].pop()
    refusal = 'failed calling webhook "decisive.pods.sidecar.hazelcast.com": connect: connection refused'
    return replace(
        used,
        now=NOW + timedelta(days=100),
        version={"gitVersion": "v1.28.4"},
        nodes=[node("one", "v1.28.4")],
        configuration=blank,
        webhook=deployment("deployment.yaml", 0),
        controller=deployment("controller.yaml", 1),
        endpoints=[],
        lease=lease(NOW),
        dry_run=DryRun("default", refusal=refusal),
        missing_permissions=list(CONTROLLER_RIGHTS[-2:]),
        without_member=[pod_without_member("till-1")],
        existing_objects={**used.existing_objects, shop: Metadata(), cart: None},
        group_endpoints=Unread("you may not list endpointslices"),
        policies=[policy("default-deny", {"podSelector": {}})],
    )


def disruptive() -> Snapshot:
    """One whose applications lose entries by what machines do."""
    carts = [injected(f"cart-{number}", group="cart") for number in range(10)]
    used = with_pods(EMPTY, *(injected(f"shop-{number}") for number in range(10)), *carts)
    for pod in carts:
        pod.owner_references = (
            OwnerReference("apps/v1", "StatefulSet", "cart", "uid-of-cart", controller=True),
        )
    shop, cart = ObjectName("Deployment", "team-a", "shop"), ObjectName("StatefulSet", "team-a", "cart")
    late = {"containers": [{"name": "app", "readinessProbe": {"initialDelaySeconds": 20}}]}
    scaled = {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, "maxReplicas": 20}
    half = {"selector": {"matchLabels": {GROUP: "cart"}}, "minAvailable": "50%"}
    return replace(
        used,
        workloads={
            shop: rolling(10, template={"spec": late}),
            cart: rolling(10, template={"spec": {"containers": [{"name": "app"}]}}),
        },
        autoscalers={
            ObjectName("HorizontalPodAutoscaler", "team-a", "shop"): convert({"spec": scaled}, Autoscaler),
            ObjectName("HorizontalPodAutoscaler", "team-a", "odd"): Unread("it cannot be read"),
        },
        budgets={
            ObjectName("PodDisruptionBudget", "team-a", "cart"): convert({"spec": half}, DisruptionBudget)
        },
    )


def forbidden() -> Snapshot:
    """Before an installation, by somebody with few rights."""
    unread = Unread("you may not list nodes")
    return replace(EMPTY, configuration=None, nodes=unread, denied_permissions=list(PARTS[-4:]))


@pytest.mark.parametrize(
    ("name", "snapshot", "checks"),
    [
        ("healthy", HEALTHY, OF_INSTALLATION),
        ("broken", broken(), OF_INSTALLATION),
        ("disruptive", disruptive(), OF_INSTALLATION),
        ("unusable-settings", replace(HEALTHY, settings=settings("runAsUser: root")), OF_INSTALLATION),
        ("before", forbidden(), BEFORE),
    ],
)
def test_the_report_is_its_golden_one(
    name: str, snapshot: Snapshot, checks: tuple[Check, ...], request: pytest.FixtureRequest
) -> None:
    report = "".join(f"{line.plain}\n" for line in lines(findings(snapshot, checks)))
    path = REPORTS / f"{name}.report"
    if request.config.getoption("--update"):
        path.write_text(report, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == report, "see the difference with --update and git diff"
