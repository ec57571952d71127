"""Whose objects are whose: they belong to the Pods' controllers, and others' objects are left alone."""

import json
import time
from typing import Any

import pytest

from hazelcast_sidecar.names import PREFIX
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import Controller
from tests.harness.group_pods import api, asking_for, create_pod, delete_pod, status
from tests.harness.kept_objects import (
    FOLDERS,
    OF_DISCOVERY,
    foreign,
    found,
    identity,
    is_as_rendered,
    kinds_found,
    owners,
    path_of,
    wait_for,
    wanted,
    wanted_by,
)
from tests.harness.shared_controller import SharedController
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until

pytestmark = pytest.mark.apiserver


@pytest.fixture
def controller(shared_controller: SharedController) -> SharedController:
    """A running controller, which the tests of this module share."""
    return shared_controller


@pytest.mark.usefixtures("controller")
def test_objects_belong_to_the_controllers_of_the_pods(cluster: ControlPlane, namespace: str) -> None:
    """What garbage collection goes by; a rollout brings another ReplicaSet under the same group."""
    first = replica_set(cluster, namespace, "shop-1")
    second = replica_set(cluster, namespace, "shop-2")

    def belongs_to(*references: dict[str, Any]) -> bool:
        expected = {identity(reference) for reference in references}
        return all(owners(cluster, kind, namespace, "shop") == expected for kind in OF_DISCOVERY["dns"])

    create_pod(cluster, namespace, "a", "shop", owner=first)
    until(APPEAR_SECONDS, "the first ReplicaSet is the owner", lambda: belongs_to(first))
    create_pod(cluster, namespace, "b", "shop", owner=first)
    create_pod(cluster, namespace, "c", "shop", owner=second)
    until(APPEAR_SECONDS, "both ReplicaSets are owners", lambda: belongs_to(first, second))
    for kind in OF_DISCOVERY["dns"]:
        stored = found(cluster, kind, namespace, "shop")
        assert stored
        for reference in stored["metadata"]["ownerReferences"]:
            # Else whoever deletes the workload in the foreground waits for us, and where the API server
            # enforces it we would need the right to change ReplicaSets.
            assert not reference.get("blockOwnerDeletion")
            assert not reference.get("controller")
    delete_pod(cluster, namespace, "a")
    delete_pod(cluster, namespace, "b")
    until(APPEAR_SECONDS, "the second ReplicaSet is left", lambda: belongs_to(second))
    delete_pod(cluster, namespace, "c")
    time.sleep(SETTLE_SECONDS)
    assert belongs_to(second), "scaled to zero: all stays until the workload is deleted"


@pytest.mark.usefixtures("controller")
def test_nothing_is_made_again_for_pods_that_are_going(cluster: ControlPlane, namespace: str) -> None:
    """A deleted workload's Pods outlive it by their grace period, while the garbage collector is at work.

    What came back then would belong to a workload that is gone, be removed again, and so on.
    """
    owner = replica_set(cluster, namespace, "shop")
    pod = create_pod(cluster, namespace, "shop-1", "shop", owner=owner)
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    hold = {"metadata": {"finalizers": ["test.example/hold"]}}
    assert cluster.request("PATCH", path, hold, MERGE).code == 200
    try:
        assert cluster.request("DELETE", path).code == 200
        assert "deletionTimestamp" in cluster.request("GET", path).document["metadata"]
        for kind in OF_DISCOVERY["dns"]:
            assert cluster.request("DELETE", path_of(kind, namespace, "shop")).code == 200
        time.sleep(SETTLE_SECONDS)
        assert kinds_found(cluster, namespace, "shop") == []
    finally:
        release = {"metadata": {"finalizers": None}}
        assert cluster.request("PATCH", path, release, MERGE).code == 200


@pytest.mark.usefixtures("controller")
def test_objects_belong_to_a_bare_pod_itself(cluster: ControlPlane, namespace: str) -> None:
    pod = create_pod(cluster, namespace, "solo", "solo", api("solo"))
    expected = {("Pod", "solo", pod["metadata"]["uid"])}
    for kind in OF_DISCOVERY["api"]:
        until(
            APPEAR_SECONDS,
            f"{kind} belongs to the Pod",
            lambda kind=kind: owners(cluster, kind, namespace, "solo") == expected,  # type: ignore[misc]
        )


@pytest.mark.parametrize("kind", list(FOLDERS))
def test_a_users_own_object_is_left_alone(
    cluster: ControlPlane, controller: Controller, namespace: str, kind: str
) -> None:
    mine = foreign(cluster, kind, namespace, "shop")
    record, owner = asking_for(kind, "shop"), replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", record, owner)
    until(APPEAR_SECONDS, "conflict counted", lambda: controller.metric("reconciles_total", "conflict") > 0)
    kinds = list(wanted_by(namespace, "shop", record))
    until(
        APPEAR_SECONDS,
        "the others are there",
        lambda: set(kinds) <= {*kinds_found(cluster, namespace, "shop")},
    )
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == kinds
    assert found(cluster, kind, namespace, "shop") == mine
    conflicts = controller.said("conflict")
    assert 1 <= len(conflicts) <= 3, "said, and not said again and again"
    for line in conflicts:
        assert line["level"] == "warning"
        for word in (f'"{kind}"', f'"{namespace}"', "shop"):
            assert word in json.dumps(line)

    # Nobody watches what is not ours: that the name is free is noticed with the next change of the group.
    assert cluster.request("DELETE", path_of(kind, namespace, "shop")).code == 200
    create_pod(cluster, namespace, "shop-2", "shop", record, owner)
    wait_for(cluster, wanted_by(namespace, "shop", record), "shop")


def test_malformed_records_do_no_harm(cluster: ControlPlane, controller: Controller, namespace: str) -> None:
    """Whoever may create Pods may write anything into their annotations."""
    good = status("good")
    malformed: list[str] = [
        "",
        "no JSON",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '"\\ud800"',
        json.dumps(good)[:-1],
        *(
            json.dumps(status("bad") | change)
            for change in (
                {"group": 5},
                {"group": None},
                {"discovery": "pigeon"},
                {"discovery": ["dns"]},
                {"port": "5701"},
                {"port": 0},
                {"port": 70_000},
                {"port": 10**400},
                {"config": "maybe"},
                {"discovery": "api"},
                {"discovery": "api", "serviceAccount": "No Name!"},
                {"discovery": "api", "serviceAccount": "../../x"},
                {"discovery": "api", "serviceAccount": 7},
            )
        ),
    ]
    for number, text in enumerate(malformed):
        # A group of its own, so that an object made for it shows; the record names it where it can.
        create_pod(cluster, namespace, f"bad-{number}", f"bad-{number}", text.replace("bad", f"bad-{number}"))
    # Labels that the API server takes, but which are the name of no Service.
    for number, group in enumerate(["Upper", "under_score", "x" * 63]):
        create_pod(cluster, namespace, f"odd-{number}", group, status(group))
    # The record and the label disagree: the Service would select Pods of another group.
    create_pod(cluster, namespace, "liar", "bad-liar", status("good", port=6000))
    create_pod(cluster, namespace, "good", "good", good)
    wait_for(cluster, wanted(namespace, "good", "dns"), "good")
    time.sleep(SETTLE_SECONDS)
    made = [
        f"{kind}/{item['metadata']['name']}"
        for kind, folder in FOLDERS.items()
        for item in cluster.request("GET", folder.format(namespace)).document["items"]
    ]
    assert sorted(made) == ["ConfigMap/hazelcast-good", "Service/hazelcast-good"]
    assert is_as_rendered(cluster, wanted(namespace, "good", "dns"), "good")
    warned = json.dumps([line for line in controller.lines() if line["level"] == "warning"])
    for number in range(len(malformed)):
        assert f"bad-{number}" in warned, f"nothing was said about {malformed[number][:80]}"


def test_pods_that_were_not_injected_are_none_of_its_business(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    """A label alone is anybody's; the record says that the webhook was there."""
    labels = {f"{PREFIX}group": "shop"}
    body = {
        "metadata": {"name": "plain", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    assert cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", body).code == 201
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == []
    assert controller.metric("watched_pods") == 0
