"""The controller on a real API server, as its ServiceAccount and with exactly the rights that are shipped.

Pods are created as the webhook would leave them; no kubelet runs them, and no garbage collector removes what
belonged to them, so each test removes its Pods itself. The API server is this module's own: it is restarted,
and its audit log says what the controller asked for and what it was refused.
"""

import contextlib
import http.client
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from os import kill
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from tests.apiserver import controller as fixtures
from tests.apiserver.conftest import WebhookServer, apply_strictly, create_namespace
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.controller import (
    APPEAR_SECONDS,
    DENIAL,
    FOLDERS,
    INJECTOR,
    LEASE_SECONDS,
    LEASES,
    MERGE,
    NAME,
    NETWORKING,
    OF_DISCOVERY,
    ON_REQUEST,
    OWN_NAMESPACE,
    POLICY,
    PREFIX,
    RIGHTS,
    SETTLE_SECONDS,
    SHIPPED,
    Account,
    Asked,
    Controller,
    Right,
    account,
    allowed,
    api,
    api_part,
    asked,
    asking_for,
    belongs_to,
    create_pod,
    delete_pod,
    failed_create,
    foreign,
    found,
    has_ca_bundle,
    identity,
    is_as_rendered,
    kinds_found,
    owners,
    path_of,
    put_configuration,
    remove_pods,
    replica_set,
    says,
    started,
    status,
    until,
    wait_for,
    wait_for_rights,
    wanted,
    wanted_by,
    workload,
)

pytestmark = pytest.mark.apiserver

shipped = fixtures.shipped
free_lease, controller, namespace = fixtures.free_lease, fixtures.controller, fixtures.namespace

STEP_SECONDS = 30.0  # for one step of all that it does; certificates are looked at every five
# What it reads every few seconds, whatever happens: its Lease, and the webhook's certificates.
LOOKED_AT = ("leases", "secrets", "mutatingwebhookconfigurations")


# --- objects appear, and stay ------------------------------------------------------------------------------


@pytest.mark.parametrize("discovery", ["dns", "api"])
def test_objects_appear_with_the_first_pod(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    say: Callable[[str], None],
    discovery: str,
) -> None:
    """The kubelet tries again to mount an absent ConfigMap only later, so a second counts."""
    owner = replica_set(cluster, namespace, "shop")
    record = status("shop", discovery=discovery) | ({"serviceAccount": "shop"} if discovery == "api" else {})
    begun = time.monotonic()
    create_pod(cluster, namespace, "shop-1", "shop", record, owner)
    created = time.monotonic() - begun
    objects = wanted(namespace, "shop", discovery, "shop")
    took = created + wait_for(cluster, objects, "shop")
    say(f"{', '.join(objects)} {took * 1000:.0f} ms after the request that creates the first Pod")

    assert list(objects) == OF_DISCOVERY[discovery]
    for kind, written in objects.items():
        stored = found(cluster, kind, namespace, "shop")
        assert stored
        for part in ("data", "rules", "subjects", "roleRef"):
            # Without defaults, so nothing more than was rendered may be there.
            assert stored.get(part) == written.get(part)
        assert {(m["manager"], m["operation"]) for m in stored["metadata"]["managedFields"]} == {
            (NAME, "Apply")
        }
    assert controller.metric("watched_pods") == 1
    assert controller.metric("queue_depth") == 0
    assert controller.metric("reconciles_total", "ok") >= 1
    assert controller.metric("reconcile_duration_seconds_count") >= 1


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("discovery", ["dns", "api"])
def test_it_reads_what_the_webhook_writes(
    cluster: ControlPlane,
    webhook: WebhookServer,
    namespace: str,
    discovery: str,
) -> None:
    """The other tests write the record themselves; here both sides must mean the same by it."""
    given = {f"{PREFIX}inject": "true", f"{PREFIX}group": "shop", f"{PREFIX}discovery": discovery}
    spec = {"serviceAccountName": "seller", "containers": [{"name": "app", "image": "shop:1"}]}
    if discovery == "api":
        token = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        spec["containers"][0]["volumeMounts"] = [token]  # type: ignore[index]
        spec["volumes"] = [{"name": "token", "emptyDir": {}}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "annotations": given},
        "spec": spec,
    }
    patched = jsonpatch.apply_patch(pod, webhook.patch(pod))
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", patched)
    assert answer.code == 201, answer.message
    wait_for(cluster, wanted(namespace, "shop", discovery, "seller"), "shop")


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("discovery", ["dns", "api"])
def test_deleted_objects_come_back(
    cluster: ControlPlane, namespace: str, say: Callable[[str], None], discovery: str
) -> None:
    record = (
        status("shop", discovery=discovery) | api_part(discovery) | dict.fromkeys(ON_REQUEST.values(), True)
    )
    create_pod(cluster, namespace, "shop-1", "shop", record, replica_set(cluster, namespace, "shop"))
    objects = wanted_by(namespace, "shop", record)
    assert set(ON_REQUEST) < set(objects)
    wait_for(cluster, objects, "shop")
    for kind in objects:
        assert cluster.request("DELETE", path_of(kind, namespace, "shop")).code == 200
        say(f"deleted {kind}: back after {wait_for(cluster, objects, 'shop') * 1000:.0f} ms")


EDITS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"hazelcast.yaml": "hazelcast: {}\n"}},
    "Service": {"spec": {"publishNotReadyAddresses": False, "selector": {f"{PREFIX}group": "other"}}},
    "PodDisruptionBudget": {"spec": {"maxUnavailable": 5}},
    "NetworkPolicy": {"spec": {"ingress": []}},
    "RoleBinding": {"subjects": []},
}


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("kind", list(FOLDERS))
def test_edited_objects_are_put_right(
    cluster: ControlPlane, namespace: str, say: Callable[[str], None], kind: str
) -> None:
    record = asking_for(kind, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", record, replica_set(cluster, namespace, "shop"))
    objects = wanted_by(namespace, "shop", record)
    wait_for(cluster, objects, "shop")
    answer = cluster.request("PATCH", path_of(kind, namespace, "shop"), EDITS[kind], MERGE)
    assert answer.code == 200, answer.message
    assert not says(answer.document, objects[kind]), "the edit changed nothing"
    say(f"edited {kind}: put right after {wait_for(cluster, objects, 'shop') * 1000:.0f} ms")


@pytest.mark.usefixtures("controller")
def test_nothing_is_written_while_nothing_changes(
    cluster: ControlPlane, namespace: str, shipped: Account
) -> None:
    """Its own writes come back to it as changes: it must not answer them with another write, for ever."""
    create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    time.sleep(SETTLE_SECONDS)
    offset = cluster.audit_log.stat().st_size
    time.sleep(2 * SETTLE_SECONDS)
    later = [a for a in asked(cluster, shipped.user, offset) if a.resource not in LOOKED_AT]
    assert later == []


@pytest.mark.usefixtures("controller")
def test_pods_of_one_group_in_two_namespaces_are_two_groups(cluster: ControlPlane, namespace: str) -> None:
    other = create_namespace(cluster, {})
    try:
        create_pod(cluster, namespace, "shop-1", "shop")
        create_pod(cluster, other, "shop-1", "shop", api("shop", "seller"))
        wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
        wait_for(cluster, wanted(other, "shop", "api", "seller"), "shop")
    finally:
        remove_pods(cluster, other)


@pytest.mark.usefixtures("controller")
def test_role_is_for_the_service_accounts_of_all_pods(cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "shop-1", "shop", api("shop", "buyer"))
    create_pod(cluster, namespace, "shop-2", "shop", api("shop", "seller"))
    create_pod(cluster, namespace, "shop-3", "shop", api("shop", "seller"))
    wait_for(cluster, wanted(namespace, "shop", "api", "buyer", "seller"), "shop")
    delete_pod(cluster, namespace, "shop-1")
    wait_for(cluster, wanted(namespace, "shop", "api", "seller"), "shop")


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize(("before", "after"), [("dns", "api"), ("api", "dns")])
def test_a_group_that_changes_its_discovery(
    cluster: ControlPlane, namespace: str, before: str, after: str
) -> None:
    """While a rollout is under way both kinds of Pods must find each other; then the old way goes."""
    create_pod(cluster, namespace, "old", "shop", status("shop", discovery=before) | api_part(before))
    wait_for(cluster, wanted(namespace, "shop", before), "shop")
    create_pod(cluster, namespace, "new", "shop", status("shop", discovery=after) | api_part(after))
    wait_for(cluster, wanted(namespace, "shop", before) | wanted(namespace, "shop", after), "shop")
    delete_pod(cluster, namespace, "old")
    wait_for(cluster, wanted(namespace, "shop", after), "shop")


@pytest.mark.usefixtures("controller")
def test_changing_discovery_deletes_nobody_elses_service(cluster: ControlPlane, namespace: str) -> None:
    mine = foreign(cluster, "Service", namespace, "shop")
    create_pod(cluster, namespace, "old", "shop")
    create_pod(cluster, namespace, "new", "shop", api("shop"))
    until(
        APPEAR_SECONDS,
        "a RoleBinding",
        lambda: found(cluster, "RoleBinding", namespace, "shop") is not None,
    )
    delete_pod(cluster, namespace, "old")
    time.sleep(SETTLE_SECONDS)
    assert found(cluster, "Service", namespace, "shop") == mine


@pytest.mark.usefixtures("controller")
def test_a_copy_of_an_object_is_not_the_object(cluster: ControlPlane, namespace: str) -> None:
    """A person who copies ours under another name copies the labels too."""
    create_pod(cluster, namespace, "old", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    copies = {}
    for kind in OF_DISCOVERY["dns"]:
        copy = deepcopy(wanted(namespace, "shop", "dns")[kind])
        copy["metadata"]["name"] = "mine"
        assert cluster.request("POST", FOLDERS[kind].format(namespace), copy).code == 201
        copies[kind] = cluster.request("GET", f"{FOLDERS[kind].format(namespace)}/mine").document
    time.sleep(SETTLE_SECONDS)
    create_pod(cluster, namespace, "new", "shop", api("shop"))
    delete_pod(cluster, namespace, "old")
    wait_for(cluster, wanted(namespace, "shop", "api"), "shop")
    time.sleep(SETTLE_SECONDS)
    for kind, copy in copies.items():
        assert cluster.request("GET", f"{FOLDERS[kind].format(namespace)}/mine").document == copy


@pytest.mark.usefixtures("controller")
def test_a_copy_does_not_make_a_users_own_object_ours(cluster: ControlPlane, namespace: str) -> None:
    mine = foreign(cluster, "ConfigMap", namespace, "shop")
    copy = wanted(namespace, "shop", "dns")["ConfigMap"]
    copy["metadata"]["name"] = "copy"
    assert cluster.request("POST", FOLDERS["ConfigMap"].format(namespace), copy).code == 201
    time.sleep(SETTLE_SECONDS)
    create_pod(cluster, namespace, "shop-1", "shop")
    until(APPEAR_SECONDS, "a Service", lambda: found(cluster, "Service", namespace, "shop") is not None)
    time.sleep(SETTLE_SECONDS)
    assert found(cluster, "ConfigMap", namespace, "shop") == mine


@pytest.mark.usefixtures("controller")
def test_own_configuration_needs_no_config_map(cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "shop-1", "shop", status("shop", config=True))
    until(APPEAR_SECONDS, "a Service", lambda: kinds_found(cluster, namespace, "shop") == ["Service"])
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == ["Service"]


@pytest.mark.usefixtures("controller")
def test_a_group_that_changes_to_its_own_configuration(cluster: ControlPlane, namespace: str) -> None:
    create_pod(cluster, namespace, "old", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    create_pod(cluster, namespace, "new", "shop", status("shop", config=True))
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == ["ConfigMap", "Service"], "the old Pod mounts it still"
    delete_pod(cluster, namespace, "old")
    until(APPEAR_SECONDS, "no ConfigMap", lambda: kinds_found(cluster, namespace, "shop") == ["Service"])


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("kind", list(ON_REQUEST))
def test_what_is_there_on_request_goes_when_nobody_asks_any_more(
    cluster: ControlPlane, namespace: str, kind: str
) -> None:
    plain, asks = status("shop", port=6000), status("shop", **{ON_REQUEST[kind]: True})
    owner = replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "plain", "shop", plain, owner)
    wait_for(cluster, wanted_by(namespace, "shop", plain), "shop")
    create_pod(cluster, namespace, "asks", "shop", asks, owner)
    objects = wanted_by(namespace, "shop", plain, asks)
    assert kind in objects, "of one workload one Pod that asks is enough"
    wait_for(cluster, objects, "shop")
    delete_pod(cluster, namespace, "asks")
    wait_for(cluster, wanted_by(namespace, "shop", plain), "shop")


# --- owners ------------------------------------------------------------------------------------------------


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


# --- what is not ours --------------------------------------------------------------------------------------


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


# --- leader election and an API server that comes and goes -------------------------------------------------


@pytest.fixture
def pair(shipped: Account, tmp_path: Path, free_lease: None) -> Iterator[tuple[Controller, Controller]]:
    """Run two replicas; the first of the pair leads."""
    assert free_lease is None
    both = [Controller(shipped, tmp_path / f"{name}.log", name) for name in ("one", "two")]
    with started(*both):
        until(APPEAR_SECONDS, "one of them leads", lambda: any(c.leads() for c in both))
        leader, other = sorted(both, key=lambda c: not c.leads())
        yield leader, other


def test_the_other_takes_over_when_the_leader_is_killed(
    cluster: ControlPlane,
    pair: tuple[Controller, Controller],
    namespace: str,
    say: Callable[[str], None],
) -> None:
    leader, other = pair
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    time.sleep(SETTLE_SECONDS)
    assert not other.leads()
    assert other.metric("reconciles_total") == 0, "one that does not lead changes nothing"
    lease = cluster.request("GET", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").document["spec"]
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == (leader.identity, LEASE_SECONDS)

    leader.program.kill()
    killed = time.monotonic()
    create_pod(cluster, namespace, "between", "between")
    path = path_of("ConfigMap", namespace, "before")
    assert cluster.request("DELETE", path).code == 200
    assert kinds_found(cluster, namespace, "between") == []
    until(APPEAR_SECONDS, "the other leads", other.leads)
    leads = time.monotonic() - killed
    for group in ("between", "before"):
        wait_for(cluster, wanted(namespace, group, "dns"), group)
    say(f"leader killed: the other leads after {leads:.1f} s, all in order {time.monotonic() - killed:.1f} s")


def test_the_other_takes_over_at_once_when_the_leader_is_stopped(
    pair: tuple[Controller, Controller], cluster: ControlPlane, say: Callable[[str], None]
) -> None:
    """A rollout of the controller leaves no time without a leader: who stops gives the Lease back."""
    leader, other = pair
    path = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
    assert leader.program.stop() == 0
    lease = cluster.request("GET", path).document["spec"]
    assert lease.get("holderIdentity", other.identity) == other.identity
    stopped = time.monotonic()
    until(APPEAR_SECONDS, "the other leads", other.leads)
    say(f"leader stopped: the other leads {time.monotonic() - stopped:.1f} s after")
    lease = cluster.request("GET", path).document["spec"]
    assert lease["holderIdentity"] == other.identity

    assert other.program.stop() == 0
    assert "holderIdentity" not in cluster.request("GET", path).document["spec"]


def test_one_that_does_not_lead_leaves_the_lease_alone(
    pair: tuple[Controller, Controller], cluster: ControlPlane
) -> None:
    leader, other = pair
    assert other.program.stop() == 0
    lease = cluster.request("GET", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").document["spec"]
    assert lease["holderIdentity"] == leader.identity


def test_a_leader_that_finds_the_lease_in_other_hands_stops_at_once(
    cluster: ControlPlane, shipped: Account, tmp_path: Path, free_lease: None
) -> None:
    """Its time to renew would be two thirds of a lease, in which two would lead."""
    assert free_lease is None
    lease_seconds = 15
    leader = Controller(shipped, tmp_path / "one.log", "one", ["--lease-seconds", str(lease_seconds)])
    with started(leader):
        until(LEASE_SECONDS, "it leads", leader.leads)
        path = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
        taken = {"spec": {"holderIdentity": "somebody"}}
        assert cluster.request("PATCH", path, taken, MERGE).code == 200
        until(lease_seconds / 3, "it knows", lambda: not leader.leads())
        # It asks for the Lease once more before it says so: one of its own would be given back.
        until(lease_seconds, "it says so", lambda: len(leader.said("not leading")) == 1)
        assert "held by somebody" in leader.said("not leading")[0]["error"]


@pytest.mark.slow
def test_a_leader_that_was_frozen_does_not_go_on_leading(
    cluster: ControlPlane,
    pair: tuple[Controller, Controller],
    namespace: str,
    say: Callable[[str], None],
) -> None:
    """A suspended machine believes that no time has passed."""
    leader, other = pair
    kill(leader.program.pid, signal.SIGSTOP)
    try:
        until(APPEAR_SECONDS, "the other leads", other.leads)
    finally:
        kill(leader.program.pid, signal.SIGCONT)
    knows = until(LEASE_SECONDS, "the one that was frozen knows", lambda: not leader.leads())
    say(f"a leader that was frozen goes on leading for {knows:.1f} s")
    assert other.leads()
    assert leader.is_ready()
    create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")


@pytest.mark.slow
def test_it_survives_a_restart_of_the_api_server(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    say: Callable[[str], None],
) -> None:
    """After it the resource versions that a watch would resume from are gone: the answer is 410."""
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    restarts = controller.metric("watch_restarts_total")
    began = time.monotonic()
    cluster.stop_apiserver()
    try:
        time.sleep(2)
        assert controller.is_alive(), "the kubelet must not kill it for what it cannot help"
    finally:
        cluster.start_apiserver()
    back = time.monotonic()
    create_pod(cluster, namespace, "after", "after")
    path = path_of("ConfigMap", namespace, "before")
    assert cluster.request("DELETE", path).code == 200
    # Pods and ConfigMaps are watched apart, and each comes back by its own back-off.
    for group in ("after", "before"):
        objects = wanted(namespace, group, "dns")
        until(30, f"{group} is reconciled", lambda: is_as_rendered(cluster, objects, group))  # noqa: B023
    say(f"API server away for {back - began:.1f} s: reconciled {time.monotonic() - back:.1f} s after")
    assert controller.metric("watch_restarts_total") > restarts
    assert controller.is_ready()

    create_pod(cluster, namespace, "later", "later")
    wait_for(cluster, wanted(namespace, "later", "dns"), "later")


# --- rights ------------------------------------------------------------------------------------------------


class Scenario:
    """All that the controller does, step after step, until something is refused.

    Args:
        cluster: where.
        controller: that does it.
        namespace: a fresh one.
        user: whom the audit log watches.
    """

    def __init__(self, cluster: ControlPlane, controller: Controller, namespace: str, user: str) -> None:
        self._cluster = cluster
        self._controller = controller
        self._namespace = namespace
        self._user = user
        self._offset = cluster.audit_log.stat().st_size

    def requests(self) -> list[Asked]:
        return asked(self._cluster, self._user, self._offset)

    def refused(self) -> list[Asked]:
        return [request for request in self.requests() if request.code == http.HTTPStatus.FORBIDDEN]

    def play(self) -> bool:
        """Return whether it came to its end; it stops where a request was refused."""
        return all(map(self._settled, self._steps()))

    def _settled(self, expected: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + STEP_SECONDS
        while not self.refused():
            if expected():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return False

    def _steps(self) -> Iterator[Callable[[], bool]]:
        cluster, namespace = self._cluster, self._namespace
        put_configuration(cluster)
        yield self._controller.leads
        yield lambda: has_ca_bundle(cluster)
        yield lambda: belongs_to(cluster) == [self._user.split(":")[2]]
        owners = [workload(cluster, namespace, kind, "told") for kind in ("Deployment", "CronJob")]
        for kind, maker in zip(("ReplicaSet", "Job"), owners[:2], strict=True):
            owners.append(workload(cluster, namespace, kind, "told", maker=maker))
        others = ("StatefulSet", "DaemonSet", "ReplicationController")
        owners += [workload(cluster, namespace, kind, "told") for kind in others]
        for number, owner in enumerate(owners[2:]):
            create_pod(cluster, namespace, f"told-{number}", "told", owner=owner)
        yield lambda: self._controller.metric("events_total", "sent") >= len(owners[2:])
        failed_create(cluster, namespace, owners[2], DENIAL)
        yield lambda: self._controller.metric("events_total", "sent") > len(owners[2:])
        on_request = dict.fromkeys(ON_REQUEST.values(), True)
        for kind in FOLDERS:
            foreign(cluster, kind, namespace, "taken")
        create_pod(cluster, namespace, "taken-1", "taken")
        owner = replica_set(cluster, namespace, "taken")
        create_pod(cluster, namespace, "taken-2", "taken", api("taken") | on_request, owner)
        yield lambda: self._controller.metric("reconciles_total", "conflict") > 0
        for before, after in (("dns", "api"), ("api", "dns")):
            group = f"from-{before}"
            record = status(group, discovery=before) | api_part(before) | on_request
            old, new = wanted_by(namespace, group, record), wanted(namespace, group, after)
            create_pod(
                cluster, namespace, f"{group}-1", group, record, replica_set(cluster, namespace, group)
            )
            yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
            for kind in old:
                cluster.request("PATCH", path_of(kind, namespace, group), EDITS[kind], MERGE)
                yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
                cluster.request("DELETE", path_of(kind, namespace, group))
                yield lambda old=old, group=group: is_as_rendered(cluster, old, group)  # type: ignore[misc]
            create_pod(
                cluster, namespace, f"{group}-2", group, status(group, discovery=after) | api_part(after)
            )
            delete_pod(cluster, namespace, f"{group}-1")
            yield lambda new=new, group=group: is_as_rendered(cluster, new, group)  # type: ignore[misc]
            create_pod(cluster, namespace, f"{group}-3", group, status(group, config=True))
            delete_pod(cluster, namespace, f"{group}-2")
            yield lambda group=group: kinds_found(cluster, namespace, group) == ["Service"]  # type: ignore[misc]


def test_the_shipped_rights_are_enough(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    shipped: Account,
    say: Callable[[str], None],
) -> None:
    scenario = Scenario(cluster, controller, namespace, shipped.user)
    assert scenario.play()
    assert scenario.refused() == []
    counts = Counter(f"{a.verb} {a.resource}" for a in scenario.requests())
    say(f"requests of one pass through everything: {dict(counts.most_common())}")


def test_rights_are_the_listed_ones() -> None:
    """Nothing may come in unseen: no star, no other Secret, no further verb."""
    assert {(r.role, r.group, r.resource, r.verb, r.names) for r in RIGHTS} == {
        *(("ClusterRole", "", "pods", verb, ()) for verb in ("get", "list", "watch")),
        *(("ClusterRole", "", "events", verb, ()) for verb in ("list", "watch", "create", "patch")),
        *(
            ("ClusterRole", group, resource, "get", ())
            for group, resource in (
                ("", "replicationcontrollers"),
                ("apps", "daemonsets"),
                ("apps", "deployments"),
                ("apps", "replicasets"),
                ("apps", "statefulsets"),
                ("batch", "cronjobs"),
                ("batch", "jobs"),
            )
        ),
        *(
            ("ClusterRole", group, resource, verb, ())
            for group, resource in (
                ("", "configmaps"),
                ("", "services"),
                (POLICY, "poddisruptionbudgets"),
                (NETWORKING, "networkpolicies"),
                ("rbac.authorization.k8s.io", "rolebindings"),
            )
            for verb in ("get", "list", "watch", "create", "patch", "delete")
        ),
        *(
            (
                "ClusterRole",
                "admissionregistration.k8s.io",
                "mutatingwebhookconfigurations",
                verb,
                (INJECTOR,),
            )
            for verb in ("get", "patch", "delete")
        ),
        ("Role", "", "namespaces", "get", ()),
        ("Role", "coordination.k8s.io", "leases", "create", ()),
        *(("Role", "coordination.k8s.io", "leases", verb, (NAME,)) for verb in ("get", "update")),
        ("Role", "", "secrets", "create", ()),
        *(("Role", "", "secrets", verb, (f"{INJECTOR}-ca", f"{INJECTOR}-tls")) for verb in ("get", "patch")),
    }


def without(right: Right, namespace: str) -> list[dict[str, Any]]:
    """The shipped roles and bindings less one right, under names of their own."""
    name = f"{NAME}-{namespace}"
    made = deepcopy(SHIPPED)
    for document in made:
        cluster_wide = document["kind"].startswith("Cluster")
        document["metadata"] = {"name": name} if cluster_wide else {"name": NAME, "namespace": namespace}
        for subject in document.get("subjects", []):
            subject["namespace"] = namespace
        if document["kind"] == "ClusterRoleBinding":
            document["roleRef"]["name"] = name
        if "rules" in document:
            document["rules"] = [
                {"apiGroups": [r.group], "resources": [r.resource], "verbs": [r.verb]}
                | ({"resourceNames": list(r.names)} if r.names else {})
                for r in RIGHTS
                if r.role == document["kind"] and r != right
            ]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_every_right_is_needed(
    cluster: ControlPlane, namespace: str, shipped: Account, tmp_path: Path, right: Right
) -> None:
    """Without it the API server refuses the controller something that it does."""
    assert shipped
    other = create_namespace(cluster, {})
    accounts = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": other}}
    assert apply_strictly(cluster, [accounts, *without(right, other)]) == []
    reduced = account(cluster, other, tmp_path)
    wait_for_rights(cluster, reduced.user, [r for r in RIGHTS if r != right])
    assert not allowed(cluster, reduced.user, right)

    running = Controller(reduced, tmp_path / "controller.log")
    scenario = Scenario(cluster, running, namespace, reduced.user)
    try:
        until(30, "it answers", running.is_alive)
        came_to_its_end = scenario.play()
        with contextlib.suppress(AssertionError):
            until(LEASE_SECONDS, "something is refused", lambda: bool(scenario.refused()))
        assert scenario.refused(), (
            f"nothing was refused{' and all worked' if came_to_its_end else ''}: is '{right}' needed?"
        )
        assert running.program.status is None, "it goes on, for the right may come back"
    finally:
        running.program.stop()
