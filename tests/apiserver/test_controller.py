"""The controller on a real API server, as its ServiceAccount and with exactly the rights that are shipped.

Pods are created as the webhook would leave them; no kubelet runs them, and no garbage collector removes what
belonged to them, so each test removes its Pods itself. The API server is this module's own: it is restarted,
and its audit log says what the controller asked for and what it was refused.
"""

import base64
import contextlib
import http.client
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from os import kill
from pathlib import Path
from typing import Any, NamedTuple

import jsonpatch
import pytest
import yaml

from tests.apiserver.conftest import (
    ROOT,
    WebhookServer,
    announcer,
    apply_strictly,
    counted,
    create_namespace,
    rendered,
)
from tests.apiserver.control_plane import ControlPlane, Program, UnavailableError, find_programs, free_ports
from webhook.resources import needs_of, of_group
from webhook.status import decode

pytestmark = pytest.mark.apiserver

PREFIX = "sidecar.hazelcast.com/"
OWN_NAMESPACE = "hazelcast-sidecar-injector"
INJECTOR = "hazelcast-sidecar-injector"
NAME = "hazelcast-sidecar-controller"
METRICS = "hazelcast_sidecar_controller_"
OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
FOLDERS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Role": RBAC + "/namespaces/{}/roles",
    "RoleBinding": RBAC + "/namespaces/{}/rolebindings",
}
OF_DISCOVERY = {"dns": ["ConfigMap", "Service"], "api": ["ConfigMap", "Role", "RoleBinding"]}
MERGE = "application/merge-patch+json"
LEASE_SECONDS = 5
APPEAR_SECONDS = 3.0  # what is promised is one; a busy machine gets room
STEP_SECONDS = 8.0  # for one step of all that it does; certificates are looked at every five
# What it reads every few seconds, whatever happens: its Lease, and the webhook's certificates.
LOOKED_AT = ("leases", "secrets", "mutatingwebhookconfigurations")
SETTLE_SECONDS = 1.0  # how long something that must not happen is waited for


# --- the API server and the rights -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    try:
        programs = find_programs(announcer(request.config))
    except UnavailableError as reason:
        pytest.skip(str(reason))
    with ControlPlane(programs, audit=True) as running:
        yield running


@pytest.fixture(scope="module")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a measured figure, whatever pytest captures."""
    return announcer(request.config)


class Asked(NamedTuple):
    """One request in the audit log."""

    user: str
    verb: str
    resource: str
    code: int
    uri: str


def asked(cluster: ControlPlane, user: str, offset: int = 0) -> list[Asked]:
    """Read what a user asked for, from an offset in the log on; a watch counts as soon as it is answered."""
    found = []
    with cluster.audit_log.open("rb") as log:
        log.seek(offset)
        for line in log:
            if not line.endswith(b"\n"):
                break  # still being written
            event = json.loads(line)
            if event["user"]["username"] != user or (
                event["verb"] == "watch" and event["stage"] == "ResponseComplete"
            ):
                continue
            resource = event.get("objectRef", {}).get("resource", "")
            code = event.get("responseStatus", {}).get("code", 0)
            found.append(Asked(user, event["verb"], resource, code, event["requestURI"]))
    return found


def until(seconds: float, what: str, seen: Callable[[], bool]) -> float:
    """Ask until the answer is yes, and return how long that took."""
    started = time.monotonic()
    while not seen():
        assert time.monotonic() < started + seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


RIGHTS_KINDS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
SHIPPED = [
    document
    for document in yaml.safe_load_all((ROOT / "manifests" / "base" / "controller-rbac.yaml").read_text())
    if document["kind"] in RIGHTS_KINDS
]


class Right(NamedTuple):
    """One verb on one kind of object, in the ClusterRole or in the Role."""

    role: str
    group: str
    resource: str
    names: tuple[str, ...]
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def rights_of(documents: list[dict[str, Any]]) -> list[Right]:
    """Every single right that the roles among these documents give."""
    return [
        Right(document["kind"], group, resource, tuple(rule.get("resourceNames", ())), verb)
        for document in documents
        for rule in document.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


RIGHTS = rights_of(SHIPPED)


class Account(NamedTuple):
    """A ServiceAccount, by name, and a kubeconfig with its token."""

    namespace: str
    kubeconfig: Path

    @property
    def user(self) -> str:
        """What the API server calls it."""
        return f"system:serviceaccount:{self.namespace}:{NAME}"


def account(cluster: ControlPlane, namespace: str, folder: Path) -> Account:
    """Ask for a token as the kubelet does for a Pod, and write it into a kubeconfig."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{NAME}/token"
    answer = cluster.request("POST", path, {"spec": {"expirationSeconds": 7200}})
    assert answer.code == 201, answer.message
    certificate = base64.b64encode(cluster.ca_file.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": cluster.url, "certificate-authority-data": certificate},
            }
        ],
        "users": [{"name": NAME, "user": {"token": answer.document["status"]["token"]}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": NAME}}],
    }
    file = folder / f"{namespace}.kubeconfig"
    file.write_text(json.dumps(config))
    return Account(namespace, file)


def allowed(cluster: ControlPlane, user: str, right: Right) -> bool:
    """Whether the API server lets a user do that."""
    namespace = user.split(":")[2] if right.role == "Role" else "default"
    attributes = {"group": right.group, "resource": right.resource, "verb": right.verb}
    attributes |= {"namespace": namespace, "name": right.names[0] if right.names else ""}
    review = {"spec": {"user": user, "resourceAttributes": attributes}}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer.code == 201, answer.message
    return bool(answer.document["status"]["allowed"])


def wait_for_rights(cluster: ControlPlane, user: str, rights: list[Right]) -> None:
    """Wait until they are in force: the authorizer learns of a new role a moment after it is stored."""
    until(10, f"{user} may do what it was given", lambda: all(allowed(cluster, user, r) for r in rights))


def ship(cluster: ControlPlane, folder: Path) -> Account:
    """The ServiceAccount of the manifests with the rights of the manifests."""
    wanted = ("Namespace", "ServiceAccount", *RIGHTS_KINDS)
    objects = [o for o in rendered(cluster, ROOT / "manifests" / "base") if o["kind"] in wanted]
    assert apply_strictly(cluster, objects) == []
    found = account(cluster, OWN_NAMESPACE, folder)
    wait_for_rights(cluster, found.user, RIGHTS)
    return found


@pytest.fixture(scope="module")
def shipped(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Account:
    return ship(cluster, tmp_path_factory.mktemp("shipped"))


# --- the controller ----------------------------------------------------------------------------------------


class Controller:
    """`hazelcast-sidecar controller` as a program of its own.

    Args:
        account: what it runs as; its Lease is in that namespace.
        log: takes its output.
        identity: its name on the Lease.
        options: further ones of the command line.
    """

    def __init__(
        self, account: Account, log: Path, identity: str = "one", options: Sequence[str] = ()
    ) -> None:
        self.identity = identity
        self.log = log
        (self._port,) = free_ports(1)
        command = [sys.executable, "-m", "webhook.cli", "controller"]
        command += ["--kubeconfig", str(account.kubeconfig), "--namespace", account.namespace]
        command += ["--admin-listen", f"127.0.0.1:{self._port}", "--identity", identity]
        command += ["--lease-seconds", str(LEASE_SECONDS), *options]
        self.program = Program(identity, command, log)

    def is_ready(self) -> bool:
        return self._answers("/readyz")

    def is_alive(self) -> bool:
        return self._answers("/livez")

    def leads(self) -> bool:
        return self.metric("leader") == 1

    def metric(self, name: str, result: str | None = None, **labels: str) -> float:
        """Read a gauge, or a counter for one result or for all."""
        return counted(self._get("/metrics")[1], METRICS + name, {"result": result, **labels})

    def lines(self) -> list[dict[str, Any]]:
        """Read its log; a line that is no JSON object is a traceback or a stray print."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        for line in found:
            assert {"time", "level", "message"} <= line.keys(), line
        return found

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["message"] == message]

    def memory(self, which: str = "VmRSS") -> float:
        """Read its memory in MiB: now (VmRSS), or at the highest (VmHWM)."""
        status = Path(f"/proc/{self.program.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(which)]
        return int(line.split()[1]) / 1024

    def _answers(self, path: str) -> bool:
        try:
            return self._get(path)[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()


@contextlib.contextmanager
def started(*controllers: Controller) -> Iterator[None]:
    """Wait until they are ready, and stop whatever of them still runs."""
    try:
        for controller in controllers:
            controller.program.wait_until(controller.is_ready)
        yield
    finally:
        for controller in controllers:
            controller.program.stop()


@pytest.fixture
def free_lease(cluster: ControlPlane, shipped: Account) -> None:
    """Take away what an earlier leader left, so that nobody waits for its end."""
    answer = cluster.request("DELETE", f"{LEASES}/{shipped.namespace}/leases/{NAME}")
    assert answer.code in (200, 404), answer.message


@pytest.fixture
def controller(shipped: Account, tmp_path: Path, free_lease: None) -> Iterator[Controller]:
    """Run one that leads. It may fail at nothing and must end in order."""
    assert free_lease is None
    running = Controller(shipped, tmp_path / "controller.log")
    with started(running):
        until(LEASE_SECONDS, "it leads", running.leads)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.metric("reconciles_total", "error") == 0, running.log.read_text()
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()


# --- Pods and what belongs to them -------------------------------------------------------------------------


@pytest.fixture
def namespace(cluster: ControlPlane) -> Iterator[str]:
    """Name a fresh namespace; in the end it has no Pods, so that the next controller has nothing to do."""
    name = create_namespace(cluster, {})
    yield name
    remove_pods(cluster, name)


def remove_pods(cluster: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0"
    assert cluster.request("DELETE", path).code == 200


def replica_set(cluster: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    """Create a ReplicaSet, and return the reference to it that its Pods have."""
    labels = {"app": name}
    container = {"name": "app", "image": "shop:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    body = {
        "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    answer = cluster.request("POST", f"/apis/apps/v1/namespaces/{namespace}/replicasets", body)
    assert answer.code == 201, answer.message
    uid = answer.document["metadata"]["uid"]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": uid}


def status(group: str, **changed: Any) -> dict[str, Any]:
    """Make the record that the webhook leaves on a Pod."""
    made = {"version": "0.1.0", "group": group, "cluster": group, "image": "hazelcast/hazelcast:5.7.0"}
    return made | {"discovery": "dns", "port": 5701, "config": False} | changed


def create_pod(
    cluster: ControlPlane,
    namespace: str,
    name: str,
    group: str,
    record: dict[str, Any] | str | None = None,
    owner: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Create a Pod as the webhook leaves it; without an owner it is a bare one."""
    text = record if isinstance(record, str) else json.dumps(record or status(group))
    metadata: dict[str, Any] = {"name": name, "labels": {f"{PREFIX}group": group}}
    metadata["annotations"] = {f"{PREFIX}inject": "true", f"{PREFIX}status": text}
    if owner:
        metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    body = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert answer.code == 201, answer.message
    return answer.document


def api(group: str, service_account: str = "default") -> dict[str, Any]:
    return status(group, discovery="api", serviceAccount=service_account)


def delete_pod(cluster: ControlPlane, namespace: str, name: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0"
    assert cluster.request("DELETE", path).code == 200


def path_of(kind: str, namespace: str, group: str) -> str:
    return f"{FOLDERS[kind].format(namespace)}/hazelcast-{group}"


def found(cluster: ControlPlane, kind: str, namespace: str, group: str) -> dict[str, Any] | None:
    """Read one of a group's objects; None where there is none."""
    answer = cluster.request("GET", path_of(kind, namespace, group))
    assert answer.code in (200, 404), answer.message
    return answer.document if answer.code == 200 else None


def kinds_found(cluster: ControlPlane, namespace: str, group: str) -> list[str]:
    return [kind for kind in FOLDERS if found(cluster, kind, namespace, group)]


def wanted(namespace: str, group: str, discovery: str, *accounts: str) -> dict[str, dict[str, Any]]:
    """Render a group's objects with the product's own function, by kind."""
    records = [
        decode(json.dumps(status(group, discovery=discovery, serviceAccount=name)))
        for name in accounts or ["default"]
    ]
    return {o["kind"]: o for o in of_group(needs_of(records), group, namespace)}


def says(stored: Any, written: Any) -> bool:
    """Whether a stored object has all that was written; the API server adds defaults."""
    if isinstance(written, dict):
        return isinstance(stored, dict) and all(
            k in stored and says(stored[k], v) for k, v in written.items()
        )
    if isinstance(written, list):
        return len(stored) == len(written) and all(says(*pair) for pair in zip(stored, written, strict=True))
    return bool(stored == written)


def is_as_rendered(cluster: ControlPlane, objects: dict[str, dict[str, Any]], group: str) -> bool:
    """Whether exactly these objects are there."""
    namespace = next(iter(objects.values()))["metadata"]["namespace"]
    stored = {kind: found(cluster, kind, namespace, group) for kind in FOLDERS}
    return all(says(stored[k], objects[k]) if k in objects else stored[k] is None for k in FOLDERS)


def wait_for(cluster: ControlPlane, objects: dict[str, dict[str, Any]], group: str) -> float:
    what = f"{', '.join(objects)} of the group {group}, and nothing else"
    return until(APPEAR_SECONDS, what, lambda: is_as_rendered(cluster, objects, group))


def owners(cluster: ControlPlane, kind: str, namespace: str, group: str) -> set[tuple[str, str, str]]:
    stored = found(cluster, kind, namespace, group) or {"metadata": {}}
    references = stored["metadata"].get("ownerReferences", [])
    return {(r["kind"], r["name"], r["uid"]) for r in references}


def identity(reference: dict[str, Any]) -> tuple[str, str, str]:
    return (reference["kind"], reference["name"], reference["uid"])


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
    create_pod(
        cluster, namespace, "shop-1", "shop", status("shop", discovery=discovery) | api_part(discovery)
    )
    objects = wanted(namespace, "shop", discovery)
    wait_for(cluster, objects, "shop")
    for kind in objects:
        assert cluster.request("DELETE", path_of(kind, namespace, "shop")).code == 200
        say(f"deleted {kind}: back after {wait_for(cluster, objects, 'shop') * 1000:.0f} ms")


def api_part(discovery: str) -> dict[str, str]:
    return {"serviceAccount": "default"} if discovery == "api" else {}


EDITS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"hazelcast.yaml": "hazelcast: {}\n"}},
    "Service": {"spec": {"publishNotReadyAddresses": False, "selector": {f"{PREFIX}group": "other"}}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
    "RoleBinding": {"subjects": []},
}


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("kind", list(FOLDERS))
def test_edited_objects_are_put_right(
    cluster: ControlPlane, namespace: str, say: Callable[[str], None], kind: str
) -> None:
    discovery = "dns" if kind == "Service" else "api"
    create_pod(
        cluster, namespace, "shop-1", "shop", status("shop", discovery=discovery) | api_part(discovery)
    )
    objects = wanted(namespace, "shop", discovery)
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
    until(APPEAR_SECONDS, "a Role", lambda: found(cluster, "Role", namespace, "shop") is not None)
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

FOREIGN: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"mine": "yes"}},
    "Service": {"spec": {"selector": {"app": "mine"}, "ports": [{"port": 80}]}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["events"], "verbs": ["get"]}]},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}},
}


def foreign(cluster: ControlPlane, kind: str, namespace: str, group: str) -> dict[str, Any]:
    """Create a user's own object of the name that ours would have."""
    body = deepcopy(FOREIGN[kind]) | {"metadata": {"name": f"hazelcast-{group}"}}
    answer = cluster.request("POST", FOLDERS[kind].format(namespace), body)
    assert answer.code == 201, answer.message
    stored = found(cluster, kind, namespace, group)
    assert stored
    return stored


@pytest.mark.parametrize("kind", list(FOLDERS))
def test_a_users_own_object_is_left_alone(
    cluster: ControlPlane, controller: Controller, namespace: str, kind: str
) -> None:
    mine = foreign(cluster, kind, namespace, "shop")
    discovery = "dns" if kind == "Service" else "api"
    create_pod(
        cluster, namespace, "shop-1", "shop", status("shop", discovery=discovery) | api_part(discovery)
    )
    until(APPEAR_SECONDS, "conflict counted", lambda: controller.metric("reconciles_total", "conflict") > 0)
    # A binding to a Role of somebody else's would give the Pods whatever that Role is for.
    kinds = [k for k in OF_DISCOVERY[discovery] if not (kind == "Role" and k == "RoleBinding")]
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
    create_pod(
        cluster, namespace, "shop-2", "shop", status("shop", discovery=discovery) | api_part(discovery)
    )
    wait_for(cluster, wanted(namespace, "shop", discovery), "shop")


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
        until(LEASE_SECONDS, "one of them leads", lambda: any(c.leads() for c in both))
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
    until(LEASE_SECONDS + 3, "the other leads", other.leads)
    leads = time.monotonic() - killed
    for group in ("between", "before"):
        wait_for(cluster, wanted(namespace, group, "dns"), group)
    say(f"leader killed: the other leads after {leads:.1f} s, all in order {time.monotonic() - killed:.1f} s")


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
        until(LEASE_SECONDS + 3, "the other leads", other.leads)
    finally:
        kill(leader.program.pid, signal.SIGCONT)
    knows = until(LEASE_SECONDS, "the one that was frozen knows", lambda: not leader.leads())
    say(f"a leader that was frozen goes on leading for {knows:.1f} s")
    assert other.leads()
    assert leader.is_ready()
    create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")


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
    objects = wanted(namespace, "after", "dns")
    until(20, "it reconciles again", lambda: is_as_rendered(cluster, objects, "after"))
    say(f"API server away for {back - began:.1f} s: reconciled {time.monotonic() - back:.1f} s after")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
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
        for kind in FOLDERS:
            foreign(cluster, kind, namespace, "taken")
        create_pod(cluster, namespace, "taken-1", "taken")
        create_pod(cluster, namespace, "taken-2", "taken", api("taken"))
        yield lambda: self._controller.metric("reconciles_total", "conflict") > 0
        for before, after in (("dns", "api"), ("api", "dns")):
            group = f"from-{before}"
            old, new = wanted(namespace, group, before), wanted(namespace, group, after)
            create_pod(
                cluster, namespace, f"{group}-1", group, status(group, discovery=before) | api_part(before)
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


ADMISSION = "admissionregistration.k8s.io"
CONFIGURATIONS = f"/apis/{ADMISSION}/v1/mutatingwebhookconfigurations"


def put_configuration(cluster: ControlPlane) -> None:
    """Register the shipped configuration anew, without a caBundle; for no Pod, since no server runs here."""
    document = yaml.safe_load((ROOT / "manifests" / "base" / "webhook.yaml").read_text())
    for each in document["webhooks"]:
        each["objectSelector"] = {"matchLabels": {f"{PREFIX}group": "no-such-group"}}
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code in (200, 404)
    answer = cluster.request("POST", CONFIGURATIONS, document)
    assert answer.code == 201, answer.message


def has_ca_bundle(cluster: ControlPlane) -> bool:
    found = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document
    return all(each["clientConfig"].get("caBundle") for each in found["webhooks"])


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
        *(
            ("ClusterRole", group, resource, verb, ())
            for group, resource in (
                ("", "configmaps"),
                ("", "services"),
                ("rbac.authorization.k8s.io", "roles"),
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
            for verb in ("get", "patch")
        ),
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
        until(10, "it answers", running.is_alive)
        came_to_its_end = scenario.play()
        with contextlib.suppress(AssertionError):
            until(LEASE_SECONDS, "something is refused", lambda: bool(scenario.refused()))
        assert scenario.refused(), (
            f"nothing was refused{' and all worked' if came_to_its_end else ''}: is '{right}' needed?"
        )
        assert running.program.status is None, "it goes on, for the right may come back"
    finally:
        running.program.stop()


# --- many --------------------------------------------------------------------------------------------------


def test_a_burst_converges(
    cluster: ControlPlane, controller: Controller, shipped: Account, say: Callable[[str], None]
) -> None:
    """A cluster that comes back after an outage creates everything at once."""
    groups, replicas = 100, 4
    namespaces = [create_namespace(cluster, {}) for _ in range(groups)]
    references = [replica_set(cluster, namespace, "shop") for namespace in namespaces]
    idle = controller.memory()
    offset = cluster.audit_log.stat().st_size

    def create(number: int) -> None:
        index = number % groups
        create_pod(cluster, namespaces[index], f"shop-{number}", "shop", owner=references[index])

    def present() -> bool:
        selector = "labelSelector=app.kubernetes.io/managed-by%3Dhazelcast-sidecar-injector"
        for folder in ("configmaps", "services"):
            listed = cluster.request("GET", f"/api/v1/{folder}?{selector}").document["items"]
            if not set(namespaces) <= {item["metadata"]["namespace"] for item in listed}:
                return False
        return True

    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(16) as creators:
            list(creators.map(create, range(groups * replicas)))
        created = time.monotonic() - begun
        until(30, "every group has its objects", present)
        converged = time.monotonic() - begun
        until(10, "the queue is empty", lambda: controller.metric("queue_depth") == 0)
        until(10, "all Pods are known", lambda: controller.metric("watched_pods") == groups * replicas)
        for namespace in namespaces:
            assert is_as_rendered(cluster, wanted(namespace, "shop", "dns"), "shop")
        counts = Counter(f"{a.verb} {a.resource}" for a in asked(cluster, shipped.user, offset))
        say(
            f"burst: {groups * replicas} Pods in {groups} namespaces created in {created:.1f} s, converged "
            f"{converged - created:.2f} s after the last; requests {dict(counts.most_common())}; "
            f"memory {idle:.0f} MiB before, {controller.memory():.0f} MiB after, "
            f"{controller.memory('VmHWM'):.0f} MiB at the highest"
        )
        writes = sum(count for what, count in counts.items() if what.startswith("patch"))
        assert writes >= 2 * groups
        assert writes <= 2.2 * groups, "one write for each object: a further Pod of a group changes nothing"
        assert controller.memory("VmHWM") < 160, "the manifest's limit is 256 MiB"
    finally:
        for namespace in namespaces:
            remove_pods(cluster, namespace)
