"""What a tenant claims in annotations, labels and owner references, and what the controller makes of it.

Everything here is allowed to a tenant who may create and update Pods in one namespace. No controller-manager
runs, so nothing removes a Pod whose owner does not exist: a forger has more time than on a cluster.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from hazelcast_sidecar.controller.lifecycle import Controller as InProcess
from hazelcast_sidecar.controller.lifecycle import ControllerSettings
from hazelcast_sidecar.controller.reconcile import leftovers
from hazelcast_sidecar.names import PREFIX
from hazelcast_sidecar.runtime.address import Address
from tests.harness.accounts import RBAC, Account
from tests.harness.audit_log import verbs
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import Controller
from tests.harness.group_pods import ON_REQUEST, api, create_pod, delete_pod, spec_of, status
from tests.harness.kept_objects import (
    FOLDERS,
    identity,
    kept,
    kinds_found,
    owners,
    path_of,
    wait_for,
    wanted,
    wanted_by,
)
from tests.harness.many_pods import create_all, fresh_namespaces, pod_of
from tests.harness.ports import free_ports
from tests.harness.shared_controller import SharedController, Sharing
from tests.harness.stored_workloads import replica_set, workload
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until
from tests.harness.workload_events import DENIAL, failed_create, told, wait_for_sentence, wait_until_told

pytestmark = pytest.mark.apiserver


@pytest.fixture
def controller(shared_controller: SharedController) -> SharedController:
    """A running controller, which the tests of this module share."""
    return shared_controller


ALL = dict.fromkeys(ON_REQUEST.values(), True)
PLAIN = {"containers": [{"name": "app", "image": "shop:1"}]}
INJECTED = {f"{PREFIX}inject": "true"}


def about(event: dict[str, Any]) -> tuple[str, str]:
    return event["involvedObject"]["kind"], event["involvedObject"]["name"]


def bare(pod: dict[str, Any]) -> tuple[str, str, str]:
    return "Pod", pod["metadata"]["name"], pod["metadata"]["uid"]


def annotate(cluster: ControlPlane, namespace: str, pod: str, group: str, record: dict[str, Any]) -> None:
    """Change what a Pod that is there claims: the webhook is not asked."""
    metadata = {"labels": {f"{PREFIX}group": group}, "annotations": {f"{PREFIX}status": json.dumps(record)}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
    answer = cluster.request("PATCH", path, {"metadata": metadata}, MERGE)
    assert answer.code == 200, answer.message


# --- a status is a claim -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "record", "why"),
    [
        (PLAIN, status("shop") | ALL, "no container hazelcast"),
        (spec_of(status("shop")), status("shop", port=8080) | ALL, "declares no port 8080"),
        (spec_of(status("cart")), status("shop") | ALL, "does not look for the group shop by DNS"),
        (spec_of(status("shop")), api("shop", "admin"), "by the Kubernetes API"),
        (spec_of(api("shop", "seller")), api("shop", "admin"), "ServiceAccount is not admin"),
    ],
    ids=["no member", "another port", "another group", "another discovery", "another ServiceAccount"],
)
def test_a_forged_status_gets_nothing(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    spec: dict[str, Any],
    record: dict[str, Any],
    why: str,
) -> None:
    """Neither a port closed, nor evictions blocked, nor a ServiceAccount bound, nor a Service."""
    owner = replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", owner=owner)
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    pod = create_pod(cluster, namespace, "forged", "shop", record, owner, spec=spec)
    event = wait_for_sentence(cluster, namespace, "StatusRejected", why)
    assert about(event) == ("Pod", "forged")
    assert event["involvedObject"]["uid"] == pod["metadata"]["uid"]
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == ["ConfigMap", "Service"]
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    assert controller.metric("statuses_rejected_total") == 1
    (line,) = controller.said("status rejected")
    assert (line["pod"], why in line["why"]) == ("forged", True)


def test_a_status_that_is_changed_afterwards_gets_nothing(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    """One Pod that goes through many groups leaves nothing behind in any."""
    pod = create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    for number in range(39):
        group = f"forged-{number}"
        annotate(cluster, namespace, "shop-1", group, api(group, "admin") | ALL)
    until(APPEAR_SECONDS, "all are seen", lambda: controller.metric("statuses_rejected_total") >= 1)
    time.sleep(2 * SETTLE_SECONDS)
    made = {
        item["metadata"]["name"]
        for folder in FOLDERS.values()
        for item in cluster.request("GET", folder.format(namespace)).document["items"]
    }
    assert made == {"hazelcast-shop"}
    annotate(cluster, namespace, "shop-1", "shop", status("shop"))
    expected = {bare(pod)}
    until(
        APPEAR_SECONDS,
        "it is believed again",
        lambda: owners(cluster, "Service", namespace, "shop") == expected,
    )
    assert cluster.request("DELETE", path_of("Service", namespace, "shop")).code == 200
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")


def test_each_forged_pod_is_read_once_and_honest_ones_are_served(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    shipped: Account,
    say: Callable[[str], None],
) -> None:
    """A forger copies the record and the owner of others, and is there before them."""
    count, offset = 100, cluster.audit_log.stat().st_size
    owner = replica_set(cluster, namespace, "shop")
    for number in range(count):
        create_pod(cluster, namespace, f"forged-{number}", "shop", status("shop"), owner, spec=PLAIN)
    until(APPEAR_SECONDS, "all are refused", lambda: controller.metric("statuses_rejected_total") == count)
    assert kinds_found(cluster, namespace, "shop") == []
    create_pod(cluster, namespace, "honest", "shop", status("shop"), owner)
    took = wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    for number in range(0, count, 10):
        annotate(cluster, namespace, f"forged-{number}", "shop", status("shop", port=6000 + number))
    until(APPEAR_SECONDS, "these, too", lambda: controller.metric("statuses_rejected_total") == count + 10)
    requests = verbs(cluster, shipped.user, offset)
    say(f"{count} forged Pods: {requests['get pods']} were read; an honest one was served after {took:.2f} s")
    assert requests["get pods"] == count + 1
    assert requests["get replicasets"] <= 2
    assert len(controller.said("status rejected")) <= 40, "said, and not for each"


# --- several workloads in one group ------------------------------------------------------------------------


@pytest.mark.usefixtures("controller")
def test_who_joins_a_group_binds_no_others(cluster: ControlPlane, namespace: str) -> None:
    """Its member is a real one, so it is of the group; but it may not close ports, nor block evictions."""
    shop, cart = (replica_set(cluster, namespace, name) for name in ("shop", "cart"))
    create_pod(cluster, namespace, "shop-1", "shop", owner=shop)
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    create_pod(cluster, namespace, "cart-1", "shop", status("shop", port=6000) | ALL, cart)
    both = status("shop"), status("shop", port=6000)
    for kind in ON_REQUEST:
        event = wait_for_sentence(cluster, namespace, "NotMet", f"gets no {kind}")
        assert about(event) == ("ReplicaSet", "cart")
        assert "ReplicaSet/shop in the same group would be affected" in event["message"]
    wait_for(cluster, wanted_by(namespace, "shop", *both), "shop")
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "shop") == ["ConfigMap", "Service"]

    create_pod(cluster, namespace, "shop-2", "shop", status("shop") | ALL, shop)
    wait_for(cluster, wanted_by(namespace, "shop", both[0], both[1] | ALL), "shop")


@pytest.mark.usefixtures("controller")
def test_a_rollout_is_one_workload(cluster: ControlPlane, namespace: str) -> None:
    deployment = workload(cluster, namespace, "Deployment", "shop")
    old, new = (
        workload(cluster, namespace, "ReplicaSet", f"shop-{name}", maker=deployment)
        for name in ("old", "new")
    )
    create_pod(cluster, namespace, "shop-old-1", "shop", owner=old)
    create_pod(cluster, namespace, "shop-new-1", "shop", status("shop") | ALL, new)
    wait_for(cluster, wanted_by(namespace, "shop", status("shop") | ALL), "shop")
    assert told(cluster, namespace, "NotMet") == []


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("kind", ["Job", "DaemonSet", None])
def test_no_budget_that_no_eviction_passes(cluster: ControlPlane, namespace: str, kind: str | None) -> None:
    owner = workload(cluster, namespace, kind, "shop") if kind else None
    record = status("shop", disruptionBudget=True)
    create_pod(cluster, namespace, "shop-1", "shop", record, owner)
    event = wait_for_sentence(cluster, namespace, "NotMet", "it would allow no eviction")
    assert about(event) == ((kind, "shop") if kind else ("Pod", "shop-1"))
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    # Nor may one that joins a group with a budget block the evictions of the others.
    other = replica_set(cluster, namespace, "cart")
    create_pod(cluster, namespace, "cart-1", "cart", status("cart", disruptionBudget=True), other)
    wait_for(cluster, wanted_by(namespace, "cart", status("cart", disruptionBudget=True)), "cart")
    create_pod(cluster, namespace, "shop-2", "cart", status("cart", disruptionBudget=True), owner)
    wait_for(cluster, wanted(namespace, "cart", "dns"), "cart")


# --- owners ------------------------------------------------------------------------------------------------

FORGED_OWNERS: dict[str, dict[str, Any]] = {
    "none of that uid": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop", "uid": "forged"},
    "none of that name": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "payroll", "uid": "forged"},
    "a Pod": {"apiVersion": "v1", "kind": "Pod", "name": "payroll", "uid": "forged"},
    "no name": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "../\x1b[2J", "uid": "forged"},
    "no kind": {"apiVersion": "x", "kind": "\x1b[2Jfoo bar", "name": "x" * 900, "uid": "forged"},
}


@pytest.mark.parametrize("claimed", list(FORGED_OWNERS))
def test_an_owner_that_does_not_exist_owns_nothing(
    cluster: ControlPlane, controller: Controller, namespace: str, claimed: str
) -> None:
    """No Event is in its name, and what would be removed with it is not made for ever again."""
    owner = replica_set(cluster, namespace, "shop")
    create_pod(cluster, namespace, "shop-1", "shop", owner=owner)
    pod = create_pod(cluster, namespace, "forged", "shop", owner=FORGED_OWNERS[claimed])
    expected = {identity(owner), bare(pod)}
    for kind in ("ConfigMap", "Service"):
        until(
            APPEAR_SECONDS,
            "it belongs to the ReplicaSet and the Pod",
            lambda kind=kind: owners(cluster, kind, namespace, "shop") == expected,  # type: ignore[misc]
        )
    wait_until_told(cluster, namespace, "Injected", 2)
    assert sorted(map(about, told(cluster, namespace))) == [("Pod", "forged"), ("ReplicaSet", "shop")]
    assert controller.metric("statuses_rejected_total") == 0


@pytest.mark.usefixtures("controller")
def test_an_owner_that_has_gone_is_not_put_back(
    cluster: ControlPlane, namespace: str, shipped: Account
) -> None:
    """The garbage collector takes such an owner off an object; to put it back would go on for ever."""
    first, second = (replica_set(cluster, namespace, name) for name in ("first", "second"))
    pod = create_pod(cluster, namespace, "first-1", "shop", owner=first)
    create_pod(cluster, namespace, "second-1", "shop", owner=second)
    both = {identity(first), identity(second)}
    until(APPEAR_SECONDS, "both own it", lambda: owners(cluster, "Service", namespace, "shop") == both)
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets/first?propagationPolicy=Orphan"
    assert cluster.request("DELETE", path).code == 200
    release = {"metadata": {"finalizers": None}}  # what the garbage collector does in the end
    cluster.request("PATCH", path.partition("?")[0], release, MERGE)
    until(APPEAR_SECONDS, "it is gone", lambda: cluster.request("GET", path.partition("?")[0]).code == 404)
    left = {"metadata": {"ownerReferences": [second]}}
    assert cluster.request("PATCH", path_of("Service", namespace, "shop"), left, MERGE).code == 200
    expected = {bare(pod), identity(second)}
    for kind in ("Service", "ConfigMap"):
        until(
            APPEAR_SECONDS,
            "the Pod is an owner in its place",
            lambda kind=kind: owners(cluster, kind, namespace, "shop") == expected,  # type: ignore[misc]
        )
    offset = cluster.audit_log.stat().st_size
    time.sleep(2 * SETTLE_SECONDS)
    assert verbs(cluster, shipped.user, offset)["patch services"] == 0


@pytest.mark.usefixtures("controller")
def test_an_owner_of_a_kind_that_cannot_be_read_is_one_and_has_no_events(
    cluster: ControlPlane, namespace: str
) -> None:
    """Such as a CloneSet: without it the objects would outlive it."""
    custom = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": "shop", "uid": "custom"}
    create_pod(cluster, namespace, "shop-1", "shop", owner=custom)
    expected = {identity(custom)}
    until(
        APPEAR_SECONDS,
        "the CloneSet is the owner",
        lambda: owners(cluster, "Service", namespace, "shop") == expected,
    )
    (event,) = wait_until_told(cluster, namespace, "Injected")
    assert about(event) == ("Pod", "shop-1")


def test_a_denial_of_a_workload_that_does_not_exist_is_not_told(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    """Anyone who may create Events can write one that looks like a denial."""
    owner = replica_set(cluster, namespace, "shop")
    forged = FORGED_OWNERS["none of that uid"]

    def both_are_seen() -> bool:
        """Deny again: a new leader tells of what is denied from then on."""
        for each in (forged, forged | {"name": "payroll"}):
            failed_create(cluster, namespace, each, DENIAL)
        time.sleep(SETTLE_SECONDS)
        return controller.metric("events_total", "unconfirmed") >= 2

    until(APPEAR_SECONDS, "both are seen", both_are_seen)
    failed_create(cluster, namespace, owner, DENIAL)
    (event,) = wait_until_told(cluster, namespace, "Denied")
    assert about(event) == ("ReplicaSet", "shop")


@pytest.mark.usefixtures("controller")
def test_a_mirror_pod_forms_no_group(cluster: ControlPlane, namespace: str) -> None:
    """What a kubelet makes of a file of its own belongs to its Node."""
    node = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "uid-node"}
    create_pod(cluster, namespace, "static-node-1", "static", owner=node)
    create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")
    time.sleep(SETTLE_SECONDS)
    assert kinds_found(cluster, namespace, "static") == []


# --- roles -------------------------------------------------------------------------------------------------


def test_a_role_binding_of_an_older_version_is_replaced(
    cluster: ControlPlane, controller: Controller, namespace: str
) -> None:
    """It named a Role of the group, and which role a RoleBinding names cannot be changed."""
    old = wanted(namespace, "shop", "api")["RoleBinding"]
    old["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hazelcast-shop"}
    folder = f"{RBAC}/namespaces/{namespace}/rolebindings"
    assert cluster.request("POST", folder, old).code == 201
    time.sleep(SETTLE_SECONDS)
    create_pod(cluster, namespace, "shop-1", "shop", api("shop"))
    wait_for(cluster, wanted(namespace, "shop", "api"), "shop")
    assert controller.metric("reconciles_total", "error") == 0


# --- groups without Pods -----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def leading(shipped: Account) -> AsyncIterator[None]:
    """The program's own parts, in this process, as the leader; its waiting times can be changed."""
    configuration = Configuration()
    await load_kube_config(str(shipped.kubeconfig), client_configuration=configuration)
    (port,) = free_ports(1)
    settings = ControllerSettings(
        admin_listen=Address("127.0.0.1", port), kubeconfig=None, namespace=shipped.namespace, identity="here"
    )
    async with ApiClient(configuration) as client:
        here = InProcess(client, settings, lambda *_, **__: None)
        tasks = [asyncio.create_task(here.watch()), asyncio.create_task(here.work())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


@pytest.mark.slow
async def test_objects_of_groups_without_pods_go_after_a_while(
    cluster: ControlPlane,
    namespace: str,
    shipped: Account,
    sharing: Sharing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An owner that a Pod named may live for ever, whose Pods would never be of the group."""
    sharing.stop()
    monkeypatch.setattr(leftovers, "EMPTY_SECONDS", 3.0)
    monkeypatch.setattr(leftovers, "LOOK_SECONDS", 0.5)

    def running(group: str, owner: dict[str, Any] | None = None) -> None:
        create_pod(cluster, namespace, f"{group}-1", group, owner=owner)

    def there(group: str) -> list[str]:
        return kinds_found(cluster, namespace, group)

    asks = workload(cluster, namespace, "ReplicaSet", "asks", INJECTED)
    named = workload(cluster, namespace, "StatefulSet", "other", INJECTED | {f"{PREFIX}group": "named"})
    gone = {
        "plain": workload(cluster, namespace, "ReplicaSet", "plain"),
        "elsewhere": workload(cluster, namespace, "ReplicaSet", "x", INJECTED),
        "another": workload(cluster, namespace, "ReplicaSet", "another", INJECTED | {f"{PREFIX}group": "y"}),
        "custom": {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "name": "shop", "uid": "c"},
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": "d"},
        "bare": None,
    }
    stays = {"asks": asks, "named": named}
    groups = {**gone, **stays, "foreign": None, "runs": None}
    async with leading(shipped):
        for group, owner in groups.items():
            running(group, owner)
        for group in groups:
            await _until(lambda group=group: there(group) == ["ConfigMap", "Service"])  # type: ignore[misc]
    # A new leader learns of these groups by their objects alone.
    for group in groups:
        if group != "runs":
            delete_pod(cluster, namespace, f"{group}-1")
    mine = {"metadata": {"ownerReferences": [asks | {"controller": False}]}}
    path = f"{path_of('Service', namespace, 'foreign')}?fieldManager=someone"
    assert cluster.request("PATCH", path, mine, MERGE).code == 200
    async with leading(shipped):
        await asyncio.sleep(1)
        assert all(there(group) for group in groups), "not at once"
        for group in gone:
            await _until(lambda group=group: there(group) == [])  # type: ignore[misc]
        await _until(lambda: there("foreign") == ["Service"])
        await asyncio.sleep(4)
        for group in (*stays, "runs"):
            assert there(group) == ["ConfigMap", "Service"], group
        running("plain", gone["plain"])
        await _until(lambda: there("plain") == ["ConfigMap", "Service"])


async def _until(seen: Callable[[], bool], seconds: float = APPEAR_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(seen):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


# --- what it costs -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_it_costs_to_verify_honest_pods(
    cluster: ControlPlane, controller: Controller, shipped: Account, say: Callable[[str], None]
) -> None:
    """One Pod and its owner are read for each workload, and nothing for a further Pod."""
    count, replicas = 100, 4
    with fresh_namespaces(cluster, count) as namespaces:
        pods = [pod_of(name, "shop", number) for number in range(replicas) for name in namespaces]
        offset = cluster.audit_log.stat().st_size
        create_all(cluster, pods)
        groups = {(name, "shop"): 1 for name in namespaces}
        until(
            2 * APPEAR_SECONDS,
            "every group has exactly one of each",
            lambda: all(kept(cluster, kind, namespaces) == groups for kind in ("ConfigMap", "Service")),
        )
        until(APPEAR_SECONDS, "all Pods are known", lambda: controller.metric("watched_pods") == len(pods))
        until(APPEAR_SECONDS, "the queue is empty", lambda: controller.metric("queue_depth") == 0)
        counts = Counter(
            {
                what: number
                for what, number in verbs(cluster, shipped.user, offset).items()
                if "events" not in what
            }
        )
        say(f"{len(pods)} Pods in {count} namespaces: requests {dict(counts.most_common())}")
        assert counts["get pods"] == counts["get replicasets"] == count
        assert counts["patch configmaps"] == counts["patch services"] == count
        assert counts["get configmaps"] == counts["get services"] == count
        assert counts["get deployments"] == 0
