"""The annotation `network-policy` on a network that enforces it: who reaches what of a group on two nodes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.bystander import KEPT_OUT, TAKES_CLIENTS, TAKES_NO_CLIENTS, fetch, knock
from tests.e2e.commands import run, sizes_seen
from tests.e2e.conftest import ENFORCED_SECONDS, namespace
from tests.e2e.kubectl import Kubectl, agree_on, container_statuses, until
from tests.e2e.workloads import idle_pod, spread, with_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Sightings

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("enforced")]

STRANGER = "stranger"


@pytest.fixture(scope="module")
def spaces(webhook: Kubectl, demo_manifests: list[dict[str, Any]]) -> Iterator[tuple[Kubectl, Kubectl]]:
    """A namespace for groups and one beside it, each with a stranger: a Pod of no group."""
    assert webhook
    with namespace("hazelcast-guarded") as inside, namespace("hazelcast-strangers") as outside:
        for kubectl in (inside, outside):
            kubectl.apply(idle_pod(demo_manifests, STRANGER))
        for kubectl in (inside, outside):
            kubectl.pods_ready(STRANGER)
        yield inside, outside


def answers(strangers: tuple[Kubectl, Kubectl], members: list[str], *ports: int) -> dict[int, set[str]]:
    """What each port says to strangers, over all of them and all members."""
    said: dict[int, set[str]] = {port: set() for port in ports}
    for kubectl in strangers:
        for address in members:
            for port, word in knock(kubectl, STRANGER, address, *ports).items():
                said[port].add(word)
    return said


def deploy(kubectl: Kubectl, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """Apply a Deployment, and wait until it consists of such Pods whose members are one cluster; its Pods."""
    name, replicas = deployment["metadata"]["name"], deployment["spec"]["replicas"]
    kubectl.apply(deployment)
    kubectl.rolled_out(f"deployment/{name}", seconds=300)
    return [kubectl.read("pod", pod) for pod in agree_on(kubectl, f"app={name}", "hazelcast", replicas)]


def addresses(pods: list[dict[str, Any]]) -> list[str]:
    return [pod["status"]["podIP"] for pod in pods]


def expect_one_cluster(kubectl: Kubectl, group: str, size: int) -> str:
    """Wait until `hazelcast-sidecar status`, which asks every member, finds one; what it shows."""
    space = kubectl.namespace
    until(60, "each member is asked, and sees all", lambda: sizes_seen(space, group) == [size] * size)
    until(60, "one cluster", lambda: run("status", "-n", space, group).returncode == 0)
    return run("status", "-n", space, group).stdout


def test_strangers_are_kept_from_members_that_meet_over_two_nodes(
    spaces: tuple[Kubectl, Kubectl],
    two_nodes: list[str],
    demo_manifests: list[dict[str, Any]],
    sightings: Sightings,
) -> None:
    kubectl, outside = spaces
    given = {"metrics": "true"}
    found = deploy(kubectl, spread(with_members(demo_manifests, "guarded", 2, **given)))
    open_to_all = answers(spaces, addresses(found), 5701)
    assert open_to_all == {5701: {TAKES_CLIENTS}}, "without the annotation, so that the rest can fail"

    given["network-policy"] = "true"
    found = deploy(kubectl, spread(with_members(demo_manifests, "guarded", 4, **given)))
    assert Counter(pod["spec"]["nodeName"] for pod in found) == dict.fromkeys(two_nodes, 2)
    members = addresses(found)
    until(ENFORCED_SECONDS, "none is reached", lambda: answers(spaces, members, 5701)[5701] <= KEPT_OUT)

    first = found[0]["metadata"]["name"]
    assert knock(kubectl, first, members[-1], 5701) == {5701: TAKES_CLIENTS}, "its own Pods are clients"
    others = answers(spaces, members, 5000, 9701)
    assert not (others[5000] | others[9701]) & KEPT_OUT, "the application, and metrics for Prometheus"
    metrics = [fetch(outside, STRANGER, f"http://{address}:9701/metrics") for address in members]
    assert [text for text in metrics if "com_hazelcast_Metrics_size" not in text] == []

    # The policy was there when the last of these Pods started.
    statuses = [status for pod in found for status in container_statuses(pod)]
    assert [(s["ready"], s["restartCount"]) for s in statuses] == [(True, 0)] * 8, "the kubelet's probes"
    shown = expect_one_cluster(kubectl, "guarded", 4)
    sightings.note(
        "a group of four on two nodes, from Pods of no group, without and with network-policy",
        f"5701: {open_to_all[5701]}, then {answers(spaces, members, 5701)[5701]}; beside that {others}\n"
        f"{kubectl('get', 'pods', '--selector=app=guarded', '--output=wide')}{shown}",
    )
    kubectl("delete", "deployment/guarded", "--wait=false")


def test_members_whose_clients_are_in_their_own_pod_are_kept_from_strangers_too(
    spaces: tuple[Kubectl, Kubectl], demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """Their port for each other is closed; that of the probes is open, as `status` needs it.

    Without the policy both are open: test_annotate.py.
    """
    kubectl, _ = spaces
    given = {"clients": "pod", "network-policy": "true"}
    deployment = with_members(demo_manifests, "shut", 2, **given)
    (app,) = deployment["spec"]["template"]["spec"]["containers"]
    app["env"] = [{"name": "HAZELCAST_SMART_ROUTING", "value": "false"}]
    members = addresses(deploy(kubectl, deployment))
    until(ENFORCED_SECONDS, "none is reached", lambda: answers(spaces, members, 5702)[5702] <= KEPT_OUT)
    found = answers(spaces, members, 5701, 5702, 5703)
    assert found[5701] | found[5702] <= KEPT_OUT
    assert found[5703] == {TAKES_NO_CLIENTS}
    expect_one_cluster(kubectl, "shut", 2)
    sightings.note("clients: pod, with network-policy", str(found))
    kubectl("delete", "deployment/shut", "--wait=false")
