"""Pods come and go, members die, and no acknowledged entry is lost, while an application's traffic goes on.

Each entry has one backup, as Hazelcast ships it; losing two members in the same moment is beyond that, and
not tried. What was acknowledged, refused, and how long it took is printed at the end of the run.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import DEMO_PODS, namespace
from tests.e2e.http_client import Entrance, api_proxy, front_door
from tests.e2e.kubectl import KubectlError, agree_on, until
from tests.e2e.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

ENTRIES = 800
REPLICAS = 3
SHUTDOWN_TIMEOUT = "sidecar.hazelcast.com/shutdown-timeout"


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


def killed_member(demo: Kubectl, image: str) -> None:
    """SIGKILL, as when memory runs out; the kubelet starts the member again in the same Pod."""
    pod = demo.read("pod", demo.pods(DEMO_PODS)[0])
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    # Nobody within a container can kill its first program; somebody who sees the node's programs can.
    killer = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "killer"},
        "spec": {
            "nodeName": pod["spec"]["nodeName"],
            "hostPID": True,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "killer",
                    "image": image,
                    "command": ["python", "-c", KILL, uid],
                    "securityContext": {"runAsUser": 0},
                }
            ],
        },
    }
    with namespace("hazelcast-killer") as elsewhere:
        elsewhere.apply(killer)

        def restarted() -> bool:
            statuses = demo.read("pod", name)["status"]["initContainerStatuses"]
            (member,) = [status for status in statuses if status["name"] == "hazelcast"]
            return bool(member["restartCount"]) and bool(member["ready"])

        until(120, "the member was killed and is back", restarted)
    settle(demo)


KILL = """
import os, pathlib, signal, sys
uid = sys.argv[1]
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        inside = (process / "cgroup").read_text().replace("_", "-")
        command = (process / "cmdline").read_bytes()
    except OSError:
        continue
    if uid in inside and b"com.hazelcast" in command:
        os.kill(int(process.name), signal.SIGKILL)
        print("killed", command)
"""


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
    demo: Kubectl, door: Entrance, sightings: Sightings, event: Callable[[Kubectl], None]
) -> None:
    before = demo.pods(DEMO_PODS)
    went_through(event, demo, door, sightings)
    if event in (rollout_restart, drained_node):
        assert not set(before) & set(demo.pods(DEMO_PODS)), "every Pod was replaced"


def test_no_acknowledged_entry_is_lost_when_a_member_is_killed(
    demo: Kubectl, door: Entrance, sightings: Sightings, images: Images
) -> None:
    before = demo.pods(DEMO_PODS)

    def killed(demo: Kubectl) -> None:
        killed_member(demo, images.demo)

    went_through(killed, demo, door, sightings)
    assert demo.pods(DEMO_PODS) == before, "no Pod was replaced"


def went_through(
    event: Callable[[Kubectl], None], demo: Kubectl, door: Entrance, sightings: Sightings
) -> None:
    """Let it happen under traffic; every entry that was acknowledged must be there afterwards."""
    traffic = Traffic(door)
    traffic.fill(ENTRIES)
    assert len(traffic.acknowledged) == ENTRIES, traffic.summary()
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
