"""Pods come and go, and no acknowledged entry is lost, while an application's traffic goes on.

Each entry has one backup, as Hazelcast ships it; losing two members in the same moment is beyond that, and
not tried. What was acknowledged, refused, and how long it took is printed at the end of the run.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kubectl import KubectlError
from tests.e2e.replicas import (
    DEMO_PODS,
    deleted_pod,
    deleted_pod_by_force,
    rollout_restart,
    scaling,
    settle,
    went_through,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Sightings
    from tests.e2e.http_client import Entrance
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

SHUTDOWN_TIMEOUT = "sidecar.hazelcast.com/shutdown-timeout"


# --- what happens ------------------------------------------------------------------------------------------


def changed_annotation(demo: Kubectl) -> None:
    """`kubectl annotate`: the Pods are made anew with another setting."""
    demo("annotate", "deployment/demo", f"{SHUTDOWN_TIMEOUT}=45s")
    settle(demo)
    demo("annotate", "deployment/demo", f"{SHUTDOWN_TIMEOUT}-")
    settle(demo)


def drained_node(demo: Kubectl) -> None:
    """All Pods are to be evicted at once; the PodDisruptionBudget lets them go one by one."""
    waiting = demo.pods(DEMO_PODS)
    path = f"/api/v1/namespaces/{demo.namespace}/pods"
    refusals = 0
    deadline = time.monotonic() + 300
    while waiting:
        assert time.monotonic() < deadline, f"still to be evicted: {waiting}"
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": waiting[0]}}
        try:
            raw = f"{path}/{waiting[0]}/eviction"
            demo("create", f"--raw={raw}", "--filename=-", stdin=json.dumps(eviction))
        except KubectlError as error:
            if "disruption budget" not in str(error):
                raise
            refusals += 1
            time.sleep(1)
        else:
            waiting.pop(0)
    assert refusals, "the budget held nothing back"
    settle(demo)


EVENTS = (
    rollout_restart,
    changed_annotation,
    scaling,
    deleted_pod,
    deleted_pod_by_force,
    drained_node,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__.replace("_", " "))
def test_no_acknowledged_entry_is_lost(
    demo: Kubectl, door_of_three: Entrance, sightings: Sightings, event: Callable[[Kubectl], None]
) -> None:
    before = demo.pods(DEMO_PODS)
    went_through(event, demo, door_of_three, sightings)
    if event in (rollout_restart, drained_node):
        assert not set(before) & set(demo.pods(DEMO_PODS)), "every Pod was replaced"
