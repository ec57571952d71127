"""Pods come and go, members die, and no acknowledged entry is lost, while an application's traffic goes on.

Each entry has one backup, as Hazelcast ships it; losing two members in the same moment is beyond that, and
not tried. What was acknowledged, refused, and how long it took is printed at the end of the run.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import DEMO_PODS
from tests.e2e.http_client import Entrance, api_proxy, front_door
from tests.e2e.kubectl import KubectlError, agree_on, until
from tests.e2e.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

ENTRIES = 800
REPLICAS = 3
SHUTDOWN_TIMEOUT = "sidecar.hazelcast.com/shutdown-timeout"
TAKE_ALL_MEMORY = "echo 1000 >/proc/1/oom_score_adj; head -c 2G /dev/zero | tail -c 2G >/dev/null"


@pytest.fixture(scope="module")
def door(demo: Kubectl) -> Iterator[Entrance]:
    """The way to the demo of three replicas; afterwards it has two again."""
    with api_proxy(demo) as api:
        scale(demo, REPLICAS)
        yield front_door(demo, "demo", api)
        scale(demo, 2)


def scale(demo: Kubectl, replicas: int) -> None:
    """Scale, and wait until nothing changes any more."""
    demo("scale", "deployment/demo", f"--replicas={replicas}")
    settle(demo, replicas)


def settle(demo: Kubectl, replicas: int = REPLICAS) -> None:
    """Wait until the Pods are ready, those that leave have left, and all members agree."""
    demo.rolled_out("deployment/demo", seconds=300)

    def settled() -> bool:
        table = demo.ready(DEMO_PODS).splitlines()
        return [line.split()[1] for line in table] == ["2/2"] * replicas

    until(240, f"{replicas} Pods and no others, all 2/2", settled)
    agree_on(demo, DEMO_PODS, "hazelcast", replicas)
    agree_on(demo, DEMO_PODS, "app", replicas)


# --- what happens ------------------------------------------------------------------------------------------


def rollout_restart(demo: Kubectl) -> None:
    """`kubectl rollout restart`."""
    demo("rollout", "restart", "deployment/demo")
    settle(demo)


def changed_annotation(demo: Kubectl) -> None:
    """`kubectl annotate`: the Pods are made anew with another setting."""
    demo("annotate", "deployment/demo", f"{SHUTDOWN_TIMEOUT}=45s")
    settle(demo)
    demo("annotate", "deployment/demo", f"{SHUTDOWN_TIMEOUT}-")
    settle(demo)


def scaling(demo: Kubectl) -> None:
    """Two more replicas at once, and both away again at once."""
    scale(demo, REPLICAS + 2)
    scale(demo, REPLICAS)


def deleted_pod(demo: Kubectl) -> None:
    """`kubectl delete pod`."""
    replaced(demo, demo.pods(DEMO_PODS)[0])


def deleted_pod_by_force(demo: Kubectl) -> None:
    """`kubectl delete pod --force`: nobody says good-bye."""
    replaced(demo, demo.pods(DEMO_PODS)[0], "--force", "--grace-period=0")


def replaced(demo: Kubectl, pod: str, *options: str) -> None:
    demo("delete", "pod", pod, *options, seconds=120)
    settle(demo)


def member_out_of_memory(demo: Kubectl) -> None:
    """The kernel kills the member (SIGKILL), and the kubelet starts it again in the same Pod."""
    pod = demo.pods(DEMO_PODS)[0]
    with pytest.raises(KubectlError):  # what runs in the container is killed with it, or ends in vain
        demo("exec", pod, "--container=hazelcast", "--", "sh", "-c", TAKE_ALL_MEMORY)

    def restarted() -> bool:
        statuses = demo.read("pod", pod)["status"]["initContainerStatuses"]
        (member,) = [status for status in statuses if status["name"] == "hazelcast"]
        return bool(member["restartCount"]) and bool(member["ready"])

    until(120, "the member was killed and is back", restarted)
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
    member_out_of_memory,
    drained_node,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__.replace("_", " "))
def test_no_acknowledged_entry_is_lost(
    demo: Kubectl, door: Entrance, sightings: Sightings, event: Callable[[Kubectl], None]
) -> None:
    traffic = Traffic(door)
    traffic.fill(ENTRIES)
    assert len(traffic.acknowledged) == ENTRIES, traffic.summary()
    before = demo.pods(DEMO_PODS)
    started = time.monotonic()
    with traffic:
        event(demo)
    took = time.monotonic() - started
    lost = traffic.lost()
    summary = f"{traffic.summary()}; {len(lost)} lost, {len(traffic.wrong)} read wrong; {took:.0f} s"
    sightings.note(f"traffic through: {event.__name__.replace('_', ' ')}", summary)
    assert len(traffic.acknowledged) > ENTRIES, "puts went on"
    assert lost == []
    assert traffic.wrong == {}
    if event in (rollout_restart, drained_node):
        assert not set(before) & set(demo.pods(DEMO_PODS)), "every Pod was replaced"
