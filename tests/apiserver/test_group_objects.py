"""The objects of a group on a real API server: they appear with its Pods, and stay as they are to be."""

import time
from collections.abc import Callable
from copy import deepcopy

import jsonpatch
import pytest

from hazelcast_sidecar.names import PREFIX
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import asked
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import Controller
from tests.harness.group_pods import ON_REQUEST, api, api_part, asking_for, create_pod, delete_pod, status
from tests.harness.kept_objects import (
    EDITS,
    FOLDERS,
    OF_DISCOVERY,
    foreign,
    found,
    kinds_found,
    path_of,
    says,
    wait_for,
    wanted,
    wanted_by,
)
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.shared_controller import SharedController
from tests.harness.stored_workloads import replica_set
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver


@pytest.fixture
def controller(shared_controller: SharedController) -> SharedController:
    """A running controller, which the tests of this module share."""
    return shared_controller


# What it reads every few seconds, whatever happens: its Lease, and the webhook's certificates.
LOOKED_AT = ("leases", "secrets", "mutatingwebhookconfigurations")


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
