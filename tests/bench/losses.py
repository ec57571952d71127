"""How many acknowledged entries are lost when Pods come and go: the guide's way, and injected.

The same Deployment of three, with the member's container as Hazelcast's guide writes it, or annotated; for
each event it is made anew. An application's traffic goes on all the while (`tests/e2e/traffic.py`), and what
was acknowledged is read again afterwards.
"""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.bench.cluster import images, injector
from tests.bench.member import allow_the_guide, annotated, by_hand
from tests.bench.report import Report, Table, Target
from tests.e2e.conftest import namespace
from tests.e2e.http_client import Entrance, api_proxy, front_door
from tests.e2e.kubectl import Kubectl
from tests.e2e.replicas import (
    ENTRIES,
    REPLICAS,
    Outcome,
    deleted_pod,
    deleted_pod_by_force,
    rollout_restart,
    scaling,
    settle,
)
from tests.e2e.traffic import Traffic

Document = dict[str, Any]
Event = Callable[[Kubectl], None]

EVENTS: dict[str, Event] = {
    "`kubectl rollout restart`": rollout_restart,
    "from 3 to 5 replicas, and back": scaling,
    "`kubectl delete pod`": deleted_pod,
    "`kubectl delete pod --force`": deleted_pod_by_force,
}
FAILING = "-Dhazelcast.operation.fail.on.indeterminate.state=true"
"""An operation whose backup nobody confirmed fails, instead of being acknowledged after five seconds."""
SIDES: dict[str, Callable[[Document], Document]] = {
    "as in the guide": by_hand,
    "injected": lambda demo: annotated(demo, image=images().member),
    "injected, failing without a backup": lambda demo: annotated(
        demo, image=images().member, java_opts=FAILING
    ),
}
SERVICE: Document = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "demo"},
    "spec": {
        "type": "NodePort",
        "selector": {"app.kubernetes.io/name": "demo"},
        "ports": [{"name": "http", "port": 5000}],
    },
}


def measure(*, quick: bool) -> Report:
    """What each event costs each side."""
    outcomes: dict[tuple[str, str], Outcome] = {}
    with injector() as demo, namespace("bench-losses") as kubectl, api_proxy(kubectl) as api:
        allow_the_guide(kubectl)
        kubectl.apply(SERVICE)
        for event in list(EVENTS)[: 1 if quick else None]:
            for side, change in SIDES.items():
                outcomes[event, side] = went_through(EVENTS[event], change(copy.deepcopy(demo)), kubectl, api)
    rows = [
        (
            event,
            side,
            f"{len(traffic.acknowledged):,}",
            f"{lost:,}",
            f"{traffic.refused.total():,}",
            f"{traffic.longest['put']:.1f}",
        )
        for (event, side), (traffic, lost) in outcomes.items()
    ]
    columns = ("what happens", "members", "acknowledged", "lost", "failed requests", "longest put s")
    lost = sum(outcome.lost for (_, side), outcome in outcomes.items() if side != "as in the guide")
    title = "entries, while Pods come and go under traffic"
    return Report("losses", [Table(title, columns, rows)], [Target("lost entries, injected", lost, 0)])


def went_through(event: Event, deployment: Document, kubectl: Kubectl, api: Entrance) -> Outcome:
    """Make the replicas, let it happen, take them away again."""
    deployment["metadata"] = {"name": "demo"}
    deployment["spec"]["replicas"] = REPLICAS
    kubectl.apply(deployment)
    settle(kubectl)

    traffic = Traffic(front_door(kubectl, "demo", api))
    traffic.fill(ENTRIES)
    with traffic, suppress(AssertionError):  # members that form no cluster any more are a result, too
        event(kubectl)
    outcome = Outcome(traffic, len(traffic.lost()))
    kubectl("delete", "deployment/demo", "--cascade=foreground", seconds=300)
    return outcome
