"""The Events that the controller records on workloads, on a real API server and with the shipped rights.

No kube-controller-manager runs here, so each test makes the Deployment, the ReplicaSet and the Pods itself,
as well as the FailedCreate Events that the ReplicaSet's controller would record.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.names import INJECT, PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import asked
from tests.harness.control_plane import ControlPlane
from tests.harness.controller_program import LEASES, Controller
from tests.harness.group_pods import create_pod, status
from tests.harness.kept_objects import foreign, found, wait_for, wanted
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.shared_controller import SharedController, Sharing
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.stored_workloads import WORKLOADS
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until
from tests.harness.workload_events import (
    DENIAL,
    POLICY_DENIAL,
    TELL_SECONDS,
    deny_until_told,
    failed_create,
    told,
    wait_until_told,
)

pytestmark = pytest.mark.apiserver

BURST, PER_SECOND = 50, 5


@pytest.fixture
def controller(shared_controller: SharedController) -> SharedController:
    """A running controller, which the tests of this module share."""
    return shared_controller


@pytest.fixture
def start(
    cluster: ControlPlane, shipped: Account, sharing: Sharing, tmp_path: Path
) -> Iterator[Callable[[], Controller]]:
    """Start a controller that leads, as often as is asked for; each takes the place of the one before."""
    sharing.stop()
    running: list[Controller] = []

    def anew() -> Controller:
        for former in running:
            assert former.program.stop() == 0
        lease = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
        assert cluster.request("DELETE", lease).code in (200, 404)
        controller = Controller(shipped, tmp_path / f"{len(running)}.log", f"number-{len(running)}")
        running.append(controller)
        controller.program.wait_until(controller.is_ready)
        until(APPEAR_SECONDS, "it leads", controller.leads)
        return controller

    try:
        yield anew
        for controller in running[-1:]:
            assert controller.program.status is None, controller.program.failure("it ended by itself")
            assert controller.metric("reconciles_total", "error") == 0, controller.log.read_text()
    finally:
        for controller in running:
            controller.program.stop()


# --- workloads and Events ----------------------------------------------------------------------------------

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {"containers": [{"name": "app", "image": "a:1"}]},
}
WORKLOAD = {"selector": {"matchLabels": {"app": "shop"}}, "template": TEMPLATE}
JOB = {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}


def create(
    cluster: ControlPlane,
    namespace: str,
    kind: str,
    name: str,
    spec: dict[str, Any],
    owner: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Create a workload, and return the reference to it that what it makes would have."""
    version, plural = WORKLOADS[kind]
    metadata: dict[str, Any] = {"name": name, "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [owner | {"controller": True}]
    path = f"/apis/{version}/namespaces/{namespace}/{plural}"
    answer = cluster.request("POST", path, {"metadata": metadata, "spec": spec})
    assert answer.code == 201, answer.message
    return {
        "apiVersion": version,
        "kind": kind,
        "name": name,
        "uid": answer.document["metadata"]["uid"],
    }


def deployment(
    cluster: ControlPlane, namespace: str, name: str = "shop", labels: dict[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a Deployment and its ReplicaSet, with these labels."""
    made = create(cluster, namespace, "Deployment", name, WORKLOAD)
    return made, create(cluster, namespace, "ReplicaSet", f"{name}-6d4b75cb6d", WORKLOAD, made, labels)


def about(event: dict[str, Any]) -> dict[str, Any]:
    """Whom an Event is about, as a reference."""
    return {k: v for k, v in event["involvedObject"].items() if k != "namespace"}


# --- what is told, and of whom -----------------------------------------------------------------------------


@pytest.mark.usefixtures("controller")
def test_limits_of_a_namespace_that_refuse_a_member_are_told_where_people_look(
    cluster: ControlPlane, namespace: str
) -> None:
    """Of workloads that ask alone: the label of their Pods is their ReplicaSets', too."""
    api = f"/api/v1/namespaces/{namespace}"
    limit = {"type": "Container", "max": {"cpu": "1"}}
    ranged = {"metadata": {"name": "small"}, "spec": {"limits": [limit]}}
    assert cluster.request("POST", f"{api}/limitranges", ranged).code == 201
    member = {"name": "hazelcast", "image": "a:1", "resources": {"limits": {"cpu": "2"}}}
    pod = {"metadata": {"name": "shop"}, "spec": {"containers": [member]}}
    refused: list[str] = []

    def is_refused() -> bool:
        answer = cluster.request("POST", f"{api}/pods?dryRun=All", pod)
        refused[:] = [answer.message] if answer.code == 403 else []
        return bool(refused)

    until(APPEAR_SECONDS, "the API server knows the LimitRange", is_refused)
    asking, other = (
        deployment(cluster, namespace, name, labels)
        for name, labels in (("asking", {INJECT: "true"}), ("other", {}))
    )

    message = f"Error creating: {refused[0]}"
    failed_create(cluster, namespace, other[1], message)
    event = deny_until_told(cluster, namespace, asking[1], message, "Refused")
    failed_create(cluster, namespace, other[1], message)
    time.sleep(SETTLE_SECONDS)
    assert len(told(cluster, namespace)) == 1
    assert about(event) == asking[0]
    assert event["message"] == (
        f"a LimitRange refuses Pods with their member, whose part is set by {PREFIX}cpu-limit: "
        "maximum cpu usage per Container is 1, but limit is 2"
    )


def test_an_injected_deployment_says_so_once_for_all_its_pods(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    made, replicas = deployment(cluster, namespace)
    for number in range(20):
        create_pod(cluster, namespace, f"shop-{number}", "shop", owner=replicas)
    (event,) = wait_until_told(cluster, namespace, "Injected")
    assert about(event) == made
    assert event["metadata"]["name"].startswith("shop.")
    assert (event["type"], event["count"], event["reportingComponent"]) == ("Normal", 1, NAME)
    assert event["message"] == (
        "each Pod gets a Hazelcast member (hazelcast/hazelcast:5.7.0): group shop, cluster dev, found by DNS"
    )
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert [entry["manager"] for entry in event["metadata"]["managedFields"]] == [NAME]
    described = cluster.kubectl("describe", "deployment/shop", "--namespace", namespace).stdout
    assert "each Pod gets a Hazelcast member" in described, "where a person looks"

    create_pod(
        cluster, namespace, "changed", "shop", status("shop", discovery="api", serviceAccount="a"), replicas
    )
    events = wait_until_told(cluster, namespace, "Injected", 2)
    assert any("found by the Kubernetes API" in event["message"] for event in events), (
        "another record, and so news"
    )
    time.sleep(SETTLE_SECONDS)
    assert len(told(cluster, namespace)) == controller.metric("events_total", "sent") == 2


@pytest.mark.usefixtures("controller")
def test_a_rollout_of_the_same_is_no_news(cluster: ControlPlane, namespace: str) -> None:
    """A Deployment's next ReplicaSet is another owner, and the same workload."""
    made, first = deployment(cluster, namespace)
    second = create(cluster, namespace, "ReplicaSet", "shop-7f9d8", WORKLOAD, made)
    create_pod(cluster, namespace, "old", "shop", owner=first)
    (before,) = wait_until_told(cluster, namespace, "Injected")
    create_pod(cluster, namespace, "new", "shop", owner=second)
    time.sleep(SETTLE_SECONDS)
    assert told(cluster, namespace) == [before]


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize(
    "case", ["CronJob", "Job", "ReplicaSet", "gone", "another", "StatefulSet", "CloneSet", "Pod"]
)
def test_an_event_is_on_the_workload_that_a_person_looks_at(
    cluster: ControlPlane, namespace: str, case: str
) -> None:
    owner: dict[str, Any] | None
    expected: dict[str, Any] | None
    match case:
        case "CronJob":
            spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": JOB}}
            expected = create(cluster, namespace, "CronJob", "nightly", spec)
            owner = create(cluster, namespace, "Job", "nightly-1", JOB, expected)
        case "Job":
            owner = expected = create(cluster, namespace, "Job", "once", JOB)
        case "ReplicaSet":
            owner = expected = create(cluster, namespace, "ReplicaSet", "alone", WORKLOAD)
        case "gone":
            owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone", "uid": "1-2-3"}
            expected = None
        case "another":
            # Of its name, but not the one that made the Pod.
            _, replicas = deployment(cluster, namespace)
            owner, expected = replicas | {"uid": "1-2-3"}, None
        case "StatefulSet":
            owner = expected = create(
                cluster, namespace, "StatefulSet", "db", WORKLOAD | {"serviceName": "db"}
            )
        case "CloneSet":
            # Of a kind that the controller has no right to read.
            owner = {
                "apiVersion": "apps.kruise.io/v1alpha1",
                "kind": "CloneSet",
                "name": "db",
                "uid": "4-5-6",
            }
            expected = None
        case _:
            owner = expected = None
    pod = create_pod(cluster, namespace, "pod", "shop", owner=owner)
    if expected is None:
        expected = {"apiVersion": "v1", "kind": "Pod", "name": "pod", "uid": pod["metadata"]["uid"]}
    (event,) = wait_until_told(cluster, namespace, "Injected")
    assert about(event) == expected


@pytest.mark.usefixtures("controller")
def test_an_owner_of_an_impossible_name_leads_nowhere_else(cluster: ControlPlane, namespace: str) -> None:
    """Whoever creates a Pod writes its ownerReferences, and names in a path are followed."""
    name = "../../../../../api/v1/namespaces/kube-system/configmaps/x"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "1-2-3"}
    pod = create_pod(cluster, namespace, "pod", "shop", owner=owner)
    (event,) = wait_until_told(cluster, namespace, "Injected")
    assert about(event) == {"apiVersion": "v1", "kind": "Pod", "name": "pod", "uid": pod["metadata"]["uid"]}


def test_a_conflict_is_told_to_every_workload_of_the_group(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    mine = foreign(cluster, "ConfigMap", namespace, "shop")
    made, replicas = deployment(cluster, namespace)
    create_pod(cluster, namespace, "shop-1", "shop", owner=replicas)
    solo = create_pod(cluster, namespace, "solo", "shop")
    events = wait_until_told(cluster, namespace, "Conflict", 2)
    assert {event["involvedObject"]["uid"] for event in events} == {made["uid"], solo["metadata"]["uid"]}
    for event in events:
        assert event["type"] == "Warning"
        for words in ("the ConfigMap hazelcast-shop exists", "rename or delete it", f"{PREFIX}group"):
            assert words in event["message"]
    assert controller.said("conflict")
    assert found(cluster, "ConfigMap", namespace, "shop") == mine


@pytest.mark.usefixtures("controller")
def test_a_denial_is_told_to_the_deployment(cluster: ControlPlane, namespace: str) -> None:
    made, replicas = deployment(cluster, namespace)
    sentence = 'Pod shop-6d4b75cb6d-*: sidecar.hazelcast.com/port: "80" is not an integer from 1024 to 65533'
    failed_create(cluster, namespace, replicas, 'Error creating: pods "shop" is forbidden: exceeded quota: x')
    other = DENIAL.replace("pods.sidecar.hazelcast.com", "policy.example.com")
    failed_create(cluster, namespace, replicas, other)
    event = deny_until_told(cluster, namespace, replicas, DENIAL.partition("Pod ")[0] + sentence)
    time.sleep(SETTLE_SECONDS)
    assert len(told(cluster, namespace)) == 1, "the other refusals are not ours to tell"
    assert (about(event), event["type"], event["message"]) == (made, "Warning", sentence)


@pytest.mark.usefixtures("controller")
def test_a_denial_by_the_policy_is_told_to_the_deployment(cluster: ControlPlane, namespace: str) -> None:
    made, replicas = deployment(cluster, namespace)
    other = POLICY_DENIAL.replace("Policy 'hazelcast-sidecar-injector'", "Policy 'other'")
    forbidden = 'Error creating: pods "shop" is forbidden: '
    failed_create(cluster, namespace, replicas, f"{forbidden}{other}no")
    event = deny_until_told(cluster, namespace, replicas, f"{forbidden}{POLICY_DENIAL}no")
    assert (about(event), event["type"], event["message"]) == (made, "Warning", "no")


@pytest.mark.usefixtures("controller")
def test_a_sentence_is_cut_where_an_event_ends(cluster: ControlPlane, namespace: str) -> None:
    _, replicas = deployment(cluster, namespace)
    event = deny_until_told(cluster, namespace, replicas, DENIAL + "ü" * 1000)
    assert len(event["message"].encode()) in (1023, 1024)
    assert event["message"].endswith("ü…")


def test_a_dry_run_tells_nothing(cluster: ControlPlane, controller: Controller, namespace: str) -> None:
    _, replicas = deployment(cluster, namespace)
    labels, given = {f"{PREFIX}group": "shop"}, {f"{PREFIX}status": json.dumps(status("shop"))}
    owners = [replicas | {"controller": True}]
    metadata = {"name": "shop", "labels": labels, "annotations": given, "ownerReferences": owners}
    pod = {"metadata": metadata, "spec": TEMPLATE["spec"]}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    assert answer.code == 201, answer.message
    time.sleep(SETTLE_SECONDS)
    assert (told(cluster, namespace), controller.metric("watched_pods")) == ([], 0)


def test_a_controller_that_starts_again_repeats_nothing(
    cluster: ControlPlane, start: Callable[[], Controller], namespace: str
) -> None:
    first = start()
    _, replicas = deployment(cluster, namespace)
    foreign(cluster, "Service", namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", owner=replicas)
    deny_until_told(cluster, namespace, replicas, DENIAL)
    for reason in ("Injected", "Conflict"):
        wait_until_told(cluster, namespace, reason)
    before = told(cluster, namespace)
    assert first.metric("events_total", "sent") == len(before) == 3

    second = start()
    until(
        TELL_SECONDS,
        "it has found the conflict too",
        lambda: second.metric("reconciles_total", "conflict") > 0,
    )
    create_pod(cluster, namespace, "shop-2", "shop", owner=replicas)
    time.sleep(2 * SETTLE_SECONDS)
    assert told(cluster, namespace) == before
    assert second.metric("events_total", "sent") == 0
    assert second.metric("events_total", "failed") == 0, second.log.read_text()
    create_pod(cluster, namespace, "shop-3", "shop", status("shop", image="hazelcast:next"), replicas)
    events = wait_until_told(cluster, namespace, "Injected", 2)
    assert len(events) == 2, "what is new is told"


# --- many --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_many_workloads_at_once_are_told_at_a_measured_pace(
    cluster: ControlPlane,
    start: Callable[[], Controller],
    shipped: Account,
    say: Callable[[str], None],
) -> None:
    """A cluster that comes back after an outage must not have its Events flooded, nor wait for them."""
    controller = start()
    namespaces, each = [create_namespace(cluster, {}) for _ in range(10)], 50
    offset, idle = cluster.audit_log.stat().st_size, controller.memory()
    begun = time.monotonic()

    def one(number: int) -> None:
        owner = create(cluster, namespaces[number % 10], "ReplicaSet", f"w-{number}", WORKLOAD)
        create_pod(cluster, namespaces[number % 10], f"w-{number}", f"w-{number}", owner=owner)

    def converged() -> bool:
        selector = "labelSelector=app.kubernetes.io/managed-by%3Dhazelcast-sidecar-injector"
        listed = cluster.request("GET", f"/api/v1/services?{selector}").document["items"]
        return len([s for s in listed if s["metadata"]["namespace"] in namespaces]) == 10 * each

    try:
        with ThreadPoolExecutor(16) as creators:
            list(creators.map(one, range(10 * each)))
        created = time.monotonic() - begun
        until(120, "every group has its Service", converged)
        took = time.monotonic() - begun
        time.sleep(2 * SETTLE_SECONDS)
        counts = Counter(f"{a.verb} {a.resource}" for a in asked(cluster, shipped.user, offset))
        passed = time.monotonic() - begun
        sent = counts["patch events"]
        say(
            f"{10 * each} workloads created in {created:.1f} s, objects there after {took:.1f} s, "
            f"{sent} Events after {passed:.1f} s; memory {idle:.0f} MiB before, "
            f"{controller.memory():.0f} MiB after"
        )
        assert BURST <= sent <= BURST + PER_SECOND * passed + 1
        assert counts["get replicasets"] == counts["get pods"] == 10 * each, "once each, for the objects"
        assert sent < 10 * each, "the others wait, and nothing waited for them"
        assert controller.metric("events_total", "dropped") == 0
        assert controller.metric("events_total", "failed") == 0
        assert controller.memory() < idle + 40
    finally:
        for name in namespaces:
            remove_pods(cluster, name)


def test_what_is_beyond_bounds_is_dropped_and_counted(
    cluster: ControlPlane, start: Callable[[], Controller], namespace: str
) -> None:
    """Anyone who may write Events can write FailedCreate ones, as many as he likes."""
    controller = start()
    _, replicas = deployment(cluster, namespace)

    def one(number: int) -> None:
        failed_create(cluster, namespace, replicas, f"{DENIAL} {number}")

    with ThreadPoolExecutor(16) as creators:
        list(creators.map(one, range(1300)))
    until(TELL_SECONDS, "some are dropped", lambda: controller.metric("events_total", "dropped") > 0)
    create_pod(cluster, namespace, "shop-1", "shop", owner=replicas)
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    assert controller.metric("events_total", "failed") == 0, controller.log.read_text()
