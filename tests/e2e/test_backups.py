"""The annotation `backups` on two nodes: all members of one node are killed at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import ZONE
from tests.e2e.bystander import python
from tests.e2e.commands import findings
from tests.e2e.conftest import namespace
from tests.e2e.groups import ENTRIES, PARTITIONS, Group
from tests.e2e.kubectl import Kubectl, agree_on, until
from tests.e2e.workloads import spread, with_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Sightings

pytestmark = pytest.mark.e2e

MEMBERS = 4

# Ends the member of its Pod at a given time. In a process namespace of the whole Pod no container's program
# is the first process, which no signal from inside would end.
KILL = """
import os, signal, sys, time
name = lambda pid: open(f"/proc/{pid}/comm").read().strip()
(member,) = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and name(pid) == "java"]
time.sleep(max(0, float(sys.argv[1]) - time.time()))
os.kill(member, signal.SIGKILL)
print(time.time())
"""
PLACE = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    for word in open(f"/proc/{pid}/cmdline").read().split(chr(0)):
        if word.startswith("-Dhazelcast.sidecar.place="):
            print(word.partition("=")[2])
"""


@pytest.fixture
def place(webhook: Kubectl) -> Iterator[Kubectl]:
    """A namespace with nothing in it."""
    assert webhook
    with namespace("hazelcast-backups") as kubectl:
        yield kubectl


class PlacedGroup(Group):
    """One whose Pods are evenly on the nodes, and whose members can be killed."""

    def start(self, manifests: list[dict[str, Any]], **given: str) -> None:
        """Have its Pods evenly on the nodes, and wait until it is one cluster."""
        deployment = spread(with_members(manifests, self.name, self.members, **given))
        deployment["spec"]["template"]["spec"]["shareProcessNamespace"] = True
        self.kubectl.apply(deployment)
        self.kubectl.rolled_out(f"deployment/{self.name}")
        agree_on(self.kubectl, f"app={self.name}", "hazelcast", self.members)
        self.settle()

    def by_node(self) -> dict[str, list[str]]:
        """The Pods on each node."""
        found: dict[str, list[str]] = {}
        for pod in self.kubectl.read("pods", f"--selector=app={self.name}")["items"]:
            found.setdefault(pod["spec"]["nodeName"], []).append(pod["metadata"]["name"])
        return found

    def kill(self, pods: list[str]) -> float:
        """End the members of some Pods by SIGKILL at the same moment; the seconds between first and last."""
        at = str(time.time() + 5)
        with ThreadPoolExecutor(len(pods)) as killers:
            times = [*killers.map(lambda pod: float(python(self.kubectl, pod, KILL, at)), pods)]
        return max(times) - min(times)

    def lose(self, node: str, sightings: Sightings, heading: str) -> dict[str, Any]:
        """Kill all members of a node; what is left, once they are back."""
        pods = self.by_node()
        (survivor, *_) = [pod for other, found in pods.items() if other != node for pod in found]
        apart = self.kill(pods[node])
        self.settle()
        left = self.load(survivor, "check")
        sightings.note(heading, f"{len(pods[node])} members of {node} within {apart * 1000:.0f} ms: {left}")
        assert left["done"] == ENTRIES
        assert left["partitions"] == PARTITIONS
        return left


def test_with_backups_on_another_node_nothing_is_lost_with_a_node(
    place: Kubectl, two_nodes: list[str], demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """And with either of the two, so no partition has its owner and its backup on one node."""
    group = PlacedGroup(place, "placed", MEMBERS)
    group.start(demo_manifests, backups="node")
    pods = group.by_node()
    assert {node: len(found) for node, found in pods.items()} == dict.fromkeys(two_nodes, MEMBERS // 2)
    assert {(n, python(place, pod, PLACE)) for n, found in pods.items() for pod in found} == {
        (node, node) for node in two_nodes
    }
    group.load(pods[two_nodes[0]][0], "fill")
    for node in two_nodes:
        left = group.lose(node, sightings, "backups: node")
        assert (left["missing"], left["wrong"], left["torn"]) == (0, 0, 0)


def test_with_backups_anywhere_some_are_lost_with_a_node(
    place: Kubectl, two_nodes: list[str], demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """A sixth of the partitions, on average, has owner and backup on the two that are killed."""
    group = PlacedGroup(place, "anywhere", MEMBERS)
    group.start(demo_manifests)
    group.load(group.by_node()[two_nodes[0]][0], "fill")
    left = group.lose(two_nodes[1], sightings, "backups: any")
    assert 0 < left["torn"] < PARTITIONS // 2
    assert 0 < left["missing"] < ENTRIES // 2


@pytest.fixture
def unzoned(two_nodes: list[str]) -> Iterator[Kubectl]:
    """Nodes without a zone, as when the test has ended."""
    kubectl = Kubectl("default")
    nodes = kubectl.read("nodes")["items"]
    if any(ZONE in node["metadata"]["labels"] for node in nodes):
        pytest.skip("the nodes of this cluster have zones, which a test must not change")
    yield kubectl
    kubectl("label", "node", *two_nodes, f"{ZONE}-")


def unaware(kubectl: Kubectl) -> list[str]:
    """What `check` says of Pods that do not know their zone."""
    said = [finding["message"] for finding in findings("warning") if finding["check"] == "zones"]
    return [message for message in said if f" {kubectl.namespace}/" in message]


@pytest.mark.faults
def test_pods_without_a_zone_are_named_by_check_until_their_nodes_have_one(
    unzoned: Kubectl,
    place: Kubectl,
    two_nodes: list[str],
    demo_manifests: list[dict[str, Any]],
    sightings: Sightings,
) -> None:
    """Without zones a lost member still loses nothing: Hazelcast divides the only group."""
    group = PlacedGroup(place, "zoned", 2)
    group.start(demo_manifests, backups="zone")
    (message,) = unaware(place)
    assert message.startswith(f"2 Pods of the group {place.namespace}/zoned, such as zoned-")
    (first,), (second,) = group.by_node().values()
    group.load(first, "fill")
    group.kill([second])
    group.settle()
    left = group.load(first, "check")
    assert (left["missing"], left["wrong"]) == (0, 0)

    for node, zone in zip(two_nodes, ("a", "b"), strict=True):
        unzoned("label", "node", node, f"{ZONE}={zone}")
    place("rollout", "restart", "deployment/zoned")
    place.rolled_out("deployment/zoned")
    until(120, "no Pod is without a zone", lambda: not unaware(place))
    group.settle()
    pods = group.by_node()
    assert {node: python(place, found[0], PLACE) for node, found in pods.items()} == {
        two_nodes[0]: "a",
        two_nodes[1]: "b",
    }
    sightings.note("backups: zone, on nodes without one", f"{message}\na member killed: {left}")
