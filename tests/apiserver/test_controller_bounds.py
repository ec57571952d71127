"""Objects as large as the API server takes, and many: the controller goes on, within its memory."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.kube.bounded import MAX_BYTES
from hazelcast_sidecar.names import PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import Controller, started
from tests.harness.group_pods import create_pod, delete_pod, status
from tests.harness.kept_objects import (
    FOLDERS,
    FOREIGN,
    OURS,
    is_as_rendered,
    path_of,
    wait_for,
    wanted,
    wanted_by,
)
from tests.harness.many_pods import CLIENTS, create_all, pod_of
from tests.harness.namespaces import create_namespace
from tests.harness.shipped_manifests import ROOT
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import SETTLE_SECONDS, until
from tests.harness.workload_events import DENIAL, failed_create, told, wait_for_sentence

pytestmark = pytest.mark.apiserver


PATIENCE_SECONDS = 120
"""As long as a busy machine may need."""

ESCAPED = 6
"""Bytes that the API server writes for one `<`."""

LONG = "<" * 800_000
LONGEST = "<" * 1_500_000
"""Nearly all that etcd takes of one object."""


def limit_mib() -> int:
    """Read the memory limit of the manifest."""
    documents = yaml.safe_load_all((ROOT / "manifests" / "base" / "controller.yaml").read_text())
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    text: str = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    return int(text.removesuffix("Mi"))


def owned_by(name: str) -> list[dict[str, Any]]:
    """An owner of which nobody checks that it is there."""
    return [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "none", "controller": True}]


def create_long(cluster: ControlPlane, kind: str, namespace: str, name: str, text: str) -> None:
    """Create an object with the labels of ours that has a long owner; it is in the controller's watch."""
    labels = {**OURS, f"{PREFIX}group": name}
    metadata = {"name": f"hazelcast-{name}", "labels": labels, "ownerReferences": owned_by(text)}
    spec = FOREIGN.get(kind, {"spec": {"containers": [{"name": "app", "image": "shop:1"}]}})
    folder = FOLDERS.get(kind, "/api/v1/namespaces/{}/pods")
    answer = cluster.request("POST", folder.format(namespace), {"metadata": metadata, **spec})
    assert answer.code == 201, answer.message


def create_event(cluster: ControlPlane, namespace: str, number: int, text: str) -> None:
    """Create what looks like an Event of the controller, and like a denial, of a long name or at length."""
    name, message = (text, DENIAL) if number % 2 else (f"shop-{number}", DENIAL + text)
    about = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": namespace, "name": name}
    body = {"metadata": {"generateName": "long-"}, "involvedObject": about, "type": "Warning", "count": 1}
    body |= {"reason": "FailedCreate", "message": message, "reportingComponent": NAME}
    body |= {"reportingInstance": "none", "action": "none", "source": {"component": "any"}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/events", body)
    assert answer.code == 201, answer.message


def serves(cluster: ControlPlane, namespace: str, group: str) -> None:
    """Wait until a new group has its objects, and a denial its Event."""
    create_pod(cluster, namespace, group, group)
    owner = replica_set(cluster, namespace, f"{group}-denied")

    def denial_is_told() -> bool:
        """Deny another Pod: a new leader tells of those that are denied from then on."""
        failed_create(cluster, namespace, owner, DENIAL)
        time.sleep(SETTLE_SECONDS)
        events = told(cluster, namespace, "Denied")
        return any(event["involvedObject"]["name"] == owner["name"] for event in events)

    objects = wanted(namespace, group, "dns")
    until(PATIENCE_SECONDS, "the objects are there", lambda: is_as_rendered(cluster, objects, group))
    until(PATIENCE_SECONDS, "the denial is told", denial_is_told)


def test_no_length_of_an_object_ends_a_watch(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    assert len(LONGEST) * ESCAPED < MAX_BYTES, "whatever etcd takes is read, unless its own bound is raised"
    for kind in ("Pod", *FOLDERS):
        create_long(cluster, kind, namespace, "long", LONGEST)
    create_event(cluster, namespace, 0, LONG)
    serves(cluster, namespace, "after")
    until(
        PATIENCE_SECONDS,
        "each was counted",
        lambda: all(
            controller.metric("unread_objects_total", kind=kind, reason="malformed") >= 1
            for kind in ("Pod", *FOLDERS)
        ),
    )
    assert controller.said("watch interrupted") == []
    lines = controller.said("unreadable object skipped")
    assert {line["kind"] for line in lines} == {"Pod", *FOLDERS}
    assert {line["name"] for line in lines} == {f"{namespace}/hazelcast-long"}
    assert all(len(json.dumps(line)) < 1000 for line in lines)
    assert controller.memory("VmHWM") < limit_mib()


def test_an_object_of_ours_that_is_given_more_labels_than_are_read_is_a_conflict(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    """What else the group needs is kept, and nothing is tried again and again in vain."""
    owner = replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", owner=owner)
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    many: dict[str, Any] = {f"tenant-{number}": "1" for number in range(300)}
    path = path_of("ConfigMap", namespace, "shop")
    answer = cluster.request("PATCH", path, {"metadata": {"labels": many}}, content_type=MERGE)
    assert answer.code == 200, answer.message
    create_pod(cluster, namespace, "shop-2", "shop", status("shop", port=6000), owner)
    wait_for(cluster, wanted_by(namespace, "shop", status("shop"), status("shop", port=6000)), "shop")
    event = wait_for_sentence(cluster, namespace, "Conflict", "the ConfigMap hazelcast-shop exists")
    assert event["involvedObject"]["uid"] == owner["uid"]
    lines = controller.said("conflict")
    assert len(lines) in (1, 2), "one for each change that it was told of"
    assert all("more than 256 labels" in line["why"] for line in lines)
    assert controller.metric("faults_total") == 0
    none = dict.fromkeys(many)
    assert cluster.request("PATCH", path, {"metadata": {"labels": none}}, content_type=MERGE).code == 200
    reconciled = controller.metric("reconciles_total", "ok")
    until(
        PATIENCE_SECONDS,
        "it is kept again",
        lambda: controller.metric("reconciles_total", "ok") > reconciled,
    )


@pytest.mark.usefixtures("controller")
def test_a_deletion_that_cannot_be_read_is_taken_up(cluster: ControlPlane, namespace: str) -> None:
    """What was deleted had become unreadable before; the next list would come ten minutes later."""
    create_pod(cluster, namespace, "shop", "shop")
    objects = wanted(namespace, "shop", "dns")
    until(PATIENCE_SECONDS, "the objects are there", lambda: is_as_rendered(cluster, objects, "shop"))
    path = path_of("ConfigMap", namespace, "shop")
    many = {"metadata": {"labels": {f"example.com/{number}": "" for number in range(300)}}}
    assert cluster.request("PATCH", path, many, MERGE).code == 200
    assert cluster.request("DELETE", path).code == 200
    until(PATIENCE_SECONDS, "all is there again", lambda: is_as_rendered(cluster, objects, "shop"))


SIZES = [pytest.param(60, 10, id="some"), pytest.param(1000, 120, id="many")]


@pytest.mark.slow
@pytest.mark.parametrize(("pods", "events"), SIZES)
def test_large_objects_stay_within_the_memory_of_the_manifest(
    cluster: ControlPlane,
    shipped: Account,
    free_lease: None,
    tmp_path: Path,
    say: Callable[[str], None],
    namespace: str,
    pods: int,
    events: int,
) -> None:
    """However they are learned of: one by one as they are created, or all at once in the first list."""
    assert free_lease is None
    crowded = create_namespace(cluster, {})
    # Few groups: each is told of by an Event, and those are written at a measured pace.
    made = [pod_of(crowded, f"shop-{number % 20}", number, padding=250_000) for number in range(pods)]
    for number, pod in enumerate(made):
        annotations = pod["metadata"]["annotations"]
        (padding,) = (key for key in annotations if not key.startswith(PREFIX))
        if number % 4 == 1:  # under our prefix: those are kept
            annotations[f"{PREFIX}x"] = annotations.pop(padding)
        elif number % 4 == 2:
            annotations[padding] = "<" * 250_000
        elif number % 4 == 3:
            del pod["metadata"]["labels"][f"{PREFIX}group"], annotations[f"{PREFIX}status"]
            pod["spec"] = {"containers": [{"name": "app", "image": "shop:1"}]}

    def fill() -> None:
        create_all(cluster, made)
        for number in range(events):
            create_event(cluster, crowded, number, LONG)
        for kind in FOLDERS:
            for number in range(events // 5):
                create_long(cluster, kind, crowded, f"long-{number}", LONG)

    known = 1 + sum(number % 4 in {0, 2} for number in range(pods))
    missed = sum(number % 4 == 3 for number in range(pods))
    with started(watches := Controller(shipped, tmp_path / "watches.log", "one")):
        until(PATIENCE_SECONDS, "it leads", watches.leads)
        fill()
        serves(cluster, namespace, "first")
        until(PATIENCE_SECONDS, "all are known", lambda: watches.metric("watched_pods") == known)
        figures = {"watched": watches.memory("VmHWM")}
    with started(lists := Controller(shipped, tmp_path / "lists.log", "two")):
        until(PATIENCE_SECONDS, "it leads", lists.leads)
        serves(cluster, namespace, "second")
        until(PATIENCE_SECONDS, "all are listed", lambda: lists.metric("watched_pods") == known + 1)
        until(PATIENCE_SECONDS, "all are audited", lambda: lists.metric("missed_pods") == missed)
        figures["listed"] = lists.memory("VmHWM")
    say(f"{pods} Pods of 250 kB, {events} Events of 4.8 MB: at the highest {figures} MiB")
    with ThreadPoolExecutor(CLIENTS) as clients:  # all at once takes longer than a request may
        list(clients.map(lambda pod: delete_pod(cluster, crowded, pod["metadata"]["name"]), made))
    assert max(figures.values()) < limit_mib()
