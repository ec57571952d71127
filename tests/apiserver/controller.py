"""The controller under test, as a program of its own, and what surrounds it: an API server, rights, Pods.

Test modules import what they need by name; the fixtures they take by assignment, as an imported name would be
shadowed by each argument.
"""

import base64
import contextlib
import http.client
import json
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml

from hazelcast_sidecar.group_objects.desired_objects import of_group, requirements_of
from hazelcast_sidecar.injection import member
from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.model.status import decode
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.apiserver.conftest import ROOT, apply_strictly, counted, create_namespace, rendered
from tests.harness.control_plane import ControlPlane, Program, get
from tests.harness.ports import free_ports
from tests.harness.procfs import memory_mib

PREFIX = "sidecar.hazelcast.com/"
OWN_NAMESPACE = "hazelcast-sidecar-injector"
INJECTOR = "hazelcast-sidecar-injector"
NAME = "hazelcast-sidecar-controller"
METRICS = "hazelcast_sidecar_controller_"
OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
RBAC = "/apis/rbac.authorization.k8s.io/v1"
POLICY, NETWORKING = "policy", "networking.k8s.io"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
FOLDERS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": f"/apis/{POLICY}/v1/namespaces/{{}}/poddisruptionbudgets",
    "NetworkPolicy": f"/apis/{NETWORKING}/v1/namespaces/{{}}/networkpolicies",
    "RoleBinding": RBAC + "/namespaces/{}/rolebindings",
}
OF_DISCOVERY = {"dns": ["ConfigMap", "Service"], "api": ["ConfigMap", "RoleBinding"]}
ON_REQUEST = {"PodDisruptionBudget": "disruptionBudget", "NetworkPolicy": "networkPolicy"}
"""What is there only where a Pod's record asks for it, and by which field."""
MERGE = "application/merge-patch+json"
LEASE_SECONDS = 5
APPEAR_SECONDS = 180.0  # what is promised is one, and printed; a busy machine gets room
_PARSED = parse({f"{PREFIX}inject": "true"}, DefaultSpecs(Settings()).of("default"))
assert isinstance(_PARSED, SidecarSpec)
_SPEC: SidecarSpec = _PARSED
TELL_SECONDS = 180.0
TODAYS = fingerprint(_SPEC, Settings().run_as_user)
"""What today's settings give a Pod with no further annotations."""
SETTLE_SECONDS = 1.0  # how long something that must not happen is waited for


# --- the API server and the rights -------------------------------------------------------------------------


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
    if document["kind"] in RIGHTS_KINDS and document["metadata"]["name"] == NAME
]
"""Its own; the ClusterRole that it binds ServiceAccounts to gives it nothing."""


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
    until(
        APPEAR_SECONDS,
        f"{user} may do what it was given",
        lambda: all(allowed(cluster, user, r) for r in rights),
    )


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
        command = [sys.executable, "-m", "hazelcast_sidecar.cli", "controller"]
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
        return counted(get(self._port, "/metrics")[1], METRICS + name, {"result": result, **labels})

    def lines(self) -> list[dict[str, Any]]:
        """Read its log; a line that is no JSON object is a traceback or a stray print."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        for line in found:
            assert {"time", "level", "message"} <= line.keys(), line
        return found

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["message"] == message]

    def memory(self, which: str = "VmRSS") -> float:
        """Its memory in MiB; see `memory_mib`."""
        return memory_mib(self.program.pid, which)

    def _answers(self, path: str) -> bool:
        try:
            return get(self._port, path)[0] == http.HTTPStatus.OK
        except OSError:
            return False


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
        until(APPEAR_SECONDS, "it leads", running.leads)
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


WORKLOADS = {
    "Deployment": ("apps/v1", "deployments"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Job": ("batch/v1", "jobs"),
    "CronJob": ("batch/v1", "cronjobs"),
    "ReplicationController": ("v1", "replicationcontrollers"),
}
"""apiVersion and folder of each kind that Pods may have as owner."""


def workload(
    cluster: ControlPlane,
    namespace: str,
    kind: str,
    name: str,
    annotations: dict[str, str] | None = None,
    maker: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Create a workload, and return the reference to it that its Pods have.

    Args:
        cluster: where.
        namespace: where it is to be.
        kind: one of WORKLOADS.
        name: of the workload.
        annotations: of its Pod template.
        maker: what controls the workload itself.
    """
    version, plural = WORKLOADS[kind]
    folder = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    metadata: dict[str, Any] = {"name": name}
    if maker:
        metadata["ownerReferences"] = [maker | {"controller": True}]
    body = {"metadata": metadata, "spec": workload_spec(kind, name, annotations or {})}
    answer = cluster.request("POST", f"{folder}/namespaces/{namespace}/{plural}", body)
    assert answer.code == 201, answer.message
    return {"apiVersion": version, "kind": kind, "name": name, "uid": answer.document["metadata"]["uid"]}


def workload_spec(kind: str, name: str, annotations: dict[str, str]) -> dict[str, Any]:
    labels = {"app": name}
    template: dict[str, Any] = {"metadata": {"labels": labels, "annotations": annotations}}
    template["spec"] = {"containers": [{"name": "app", "image": "shop:1"}]}
    if kind in {"Job", "CronJob"}:
        template["metadata"].pop("labels")
        template["spec"]["restartPolicy"] = "Never"
        job = {"template": template}
        return job if kind == "Job" else {"schedule": "@yearly", "jobTemplate": {"spec": job}}
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    replicas = {} if kind == "DaemonSet" else {"replicas": 0}
    service = {"serviceName": name} if kind == "StatefulSet" else {}
    return {"selector": selector, "template": template, **replicas, **service}


def replica_set(cluster: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    """Create a ReplicaSet, and return the reference to it that its Pods have."""
    return workload(cluster, namespace, "ReplicaSet", name)


def status(group: str, **changed: Any) -> dict[str, Any]:
    """Make the record that the webhook leaves on a Pod."""
    made = {"version": "0.1.0", "group": group, "cluster": "dev", "image": "hazelcast/hazelcast:5.7.0"}
    return made | {"discovery": "dns", "port": 5701, "config": False, "fingerprint": TODAYS} | changed


def spec_of(record: dict[str, Any]) -> dict[str, Any]:
    """Make the spec of a Pod as the webhook leaves it, to which this record is true."""
    spec = msgspec.structs.replace(
        _SPEC,
        port=record["port"],
        clients="pod" if record.get("podClients") else "any",
        discovery=record["discovery"],
        config="mine" if record["config"] else None,
    )
    accounts = {"serviceAccountName": record["serviceAccount"]} if record.get("serviceAccount") else {}
    return accounts | {
        "initContainers": [member.container(spec, record["group"], Settings().run_as_user)],
        "containers": [{"name": "app", "image": "shop:1"}],
        "volumes": member.volumes(spec, record["group"]),
    }


def create_pod(
    cluster: ControlPlane,
    namespace: str,
    name: str,
    group: str,
    record: dict[str, Any] | str | None = None,
    owner: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Create a Pod as the webhook leaves it.

    Args:
        cluster: where.
        namespace: where it is to be.
        name: of the Pod.
        group: of its label, and of its member where the record is no mapping.
        record: its status; text is taken as it is.
        owner: what controls it; a Pod without one is a bare one.
        spec: another one than the record tells of.
    """
    text = record if isinstance(record, str) else json.dumps(record or status(group))
    metadata: dict[str, Any] = {"name": name, "labels": {f"{PREFIX}group": group}}
    asked_for = {f"{PREFIX}inject": "true", f"{PREFIX}group": group}
    metadata["annotations"] = asked_for | {f"{PREFIX}status": text}
    if owner:
        metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    true = record if isinstance(record, dict) else status(group)
    body = {"metadata": metadata, "spec": spec or spec_of(true)}
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
    records = [status(group, discovery=discovery, serviceAccount=name) for name in accounts or ["default"]]
    return wanted_by(namespace, group, *records)


def wanted_by(namespace: str, group: str, *records: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Render what Pods of one Deployment with these records need, by kind."""
    needs = requirements_of(decode(json.dumps(record)) for record in records)
    return {o["kind"]: o for o in of_group(needs, group, namespace)}


def api_part(discovery: str) -> dict[str, str]:
    return {"serviceAccount": "default"} if discovery == "api" else {}


def asking_for(kind: str, group: str) -> dict[str, Any]:
    """Make the record of a Pod that needs an object of a kind."""
    discovery = "dns" if kind == "Service" else "api"
    asked_for = {ON_REQUEST[kind]: True} if kind in ON_REQUEST else {}
    return status(group, discovery=discovery, **api_part(discovery), **asked_for)


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


def belongs_to(cluster: ControlPlane) -> list[str]:
    """The namespaces that own the configuration."""
    found = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document
    references = found["metadata"].get("ownerReferences", [])
    assert all((r["apiVersion"], r["kind"]) == ("v1", "Namespace") for r in references)
    return [reference["name"] for reference in references]


POLICY_DENIAL = (
    "ValidatingAdmissionPolicy 'hazelcast-sidecar-injector' with binding 'hazelcast-sidecar-injector' "
    "denied request: "
)
DENIAL = 'Error creating: admission webhook "pods.sidecar.hazelcast.com" denied the request: Pod shop-*: no'


def failed_create(cluster: ControlPlane, namespace: str, owner: dict[str, Any], message: str) -> None:
    """Record what the ReplicaSet controller does when its Pod was refused."""
    about = owner | {"namespace": namespace, "kind": "ReplicaSet"}
    body = {"metadata": {"generateName": "failed-"}, "involvedObject": about, "type": "Warning", "count": 1}
    body |= {"reason": "FailedCreate", "message": message, "source": {"component": "replicaset-controller"}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/events", body)
    assert answer.code == 201, answer.message


FOREIGN: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"mine": "yes"}},
    "Service": {"spec": {"selector": {"app": "mine"}, "ports": [{"port": 80}]}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "mine"}}}},
    "NetworkPolicy": {"spec": {"podSelector": {"matchLabels": {"app": "mine"}}}},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}},
}


EDITS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"hazelcast.yaml": "hazelcast: {}\n"}},
    "Service": {"spec": {"publishNotReadyAddresses": False, "selector": {f"{PREFIX}group": "other"}}},
    "PodDisruptionBudget": {"spec": {"maxUnavailable": 5}},
    "NetworkPolicy": {"spec": {"ingress": []}},
    "RoleBinding": {"subjects": []},
}
"""A change of each kind of object, as a user makes it."""


def foreign(cluster: ControlPlane, kind: str, namespace: str, group: str) -> dict[str, Any]:
    """Create a user's own object of the name that ours would have."""
    body = deepcopy(FOREIGN[kind]) | {"metadata": {"name": f"hazelcast-{group}"}}
    answer = cluster.request("POST", FOLDERS[kind].format(namespace), body)
    assert answer.code == 201, answer.message
    stored = found(cluster, kind, namespace, group)
    assert stored
    return stored


def told(cluster: ControlPlane, namespace: str, reason: str | None = None) -> list[dict[str, Any]]:
    """Read the Events of ours."""
    answer = cluster.request("GET", f"/api/v1/namespaces/{namespace}/events")
    assert answer.code == 200, answer.message
    return [
        event
        for event in answer.document["items"]
        if event["source"].get("component") == NAME and reason in (None, event["reason"])
    ]


def wait_until_told(
    cluster: ControlPlane, namespace: str, reason: str, events: int = 1
) -> list[dict[str, Any]]:
    until(TELL_SECONDS, f"{events} of {reason}", lambda: len(told(cluster, namespace, reason)) >= events)
    return told(cluster, namespace, reason)


def wait_for_sentence(cluster: ControlPlane, namespace: str, reason: str, sentence: str) -> dict[str, Any]:
    """Wait until an Event says it, and return that Event."""
    seen: list[dict[str, Any]] = []

    def said() -> bool:
        seen[:] = [event for event in told(cluster, namespace, reason) if sentence in event["message"]]
        return bool(seen)

    until(TELL_SECONDS, f"{reason}: {sentence}", said)
    return seen[0]


# --- many Pods ---------------------------------------------------------------------------------------------

CLIENTS = 16


def pod_of(namespace: str, group: str, number: int, padding: int = 0) -> dict[str, Any]:
    """Make a Pod as the webhook leaves it, of a ReplicaSet, which `create_all` makes.

    Args:
        namespace: where it is to be.
        group: its group, and the name of its workload.
        number: its own among the group's.
        padding: bytes of the annotation that `kubectl apply` leaves, which nobody here reads.
    """
    owner: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{group}-5d4f8c7b9d"}
    owner |= {"controller": True, "blockOwnerDeletion": True}
    labels = {"app.kubernetes.io/name": group, "pod-template-hash": "5d4f8c7b9d", f"{PREFIX}group": group}
    annotations = {f"{PREFIX}inject": "true", f"{PREFIX}status": json.dumps(status(group))}
    if padding:
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = f"{number:0{padding}}"
    metadata = {"name": f"{group}-5d4f8c7b9d-{number}", "namespace": namespace, "labels": labels} | {
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec_of(status(group))}


def create_all(cluster: ControlPlane, pods: Sequence[dict[str, Any]]) -> float:
    """Create Pods through many clients at a time, and return the seconds that it took.

    The ReplicaSets that own them are made before.
    """
    own_replica_sets(cluster, pods)
    begun = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        shares = [pods[first::CLIENTS] for first in range(CLIENTS)]
        list(clients.map(lambda share: create_in_turn(cluster, share), shares))
    return time.monotonic() - begun


def own_replica_sets(cluster: ControlPlane, pods: Sequence[dict[str, Any]]) -> None:
    """Make the ReplicaSets that Pods name as their owners, and write their uids into the Pods."""
    references: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for pod in pods:
        (reference,) = pod["metadata"]["ownerReferences"]
        references.setdefault((pod["metadata"]["namespace"], reference["name"]), []).append(reference)
    with ThreadPoolExecutor(CLIENTS) as clients:
        made = clients.map(lambda key: replica_set(cluster, *key), references)
    for listed, owner in zip(references.values(), made, strict=True):
        for reference in listed:
            reference["uid"] = owner["uid"]


def create_in_turn(cluster: ControlPlane, pods: Sequence[dict[str, Any]]) -> None:
    """Create Pods over one connection: ten thousand handshakes would be most of the work."""
    headers = {"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"}
    with contextlib.closing(connect(cluster)) as connection:
        for pod in pods:
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
            connection.request("POST", path, json.dumps(pod), headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status == http.HTTPStatus.CREATED, text


def connect(cluster: ControlPlane) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=cluster.ca_file)
    return http.client.HTTPSConnection(urlsplit(cluster.url).netloc, context=context, timeout=60)


@contextlib.contextmanager
def fresh_namespaces(cluster: ControlPlane, count: int) -> Iterator[list[str]]:
    """Make namespaces, and take their Pods away in the end."""
    names = [create_namespace(cluster, {}) for _ in range(count)]
    try:
        yield names
    finally:
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(lambda name: remove_pods(cluster, name), names))


def kept(cluster: ControlPlane, kind: str, namespaces: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count the objects of a kind that the controller keeps, by namespace and group."""
    selector = ",".join(f"{key}%3D{value}" for key, value in OURS.items())
    path = FOLDERS[kind].replace("/namespaces/{}", "")
    items = cluster.request("GET", f"{path}?labelSelector={selector}").document["items"]
    found = [item["metadata"] for item in items]
    return Counter(
        (m["namespace"], m["labels"][f"{PREFIX}group"]) for m in found if m["namespace"] in namespaces
    )


def verbs(cluster: ControlPlane, user: str, offset: int) -> Counter[str]:
    """Count what the controller asked for, by verb and resource."""
    return Counter(f"{request.verb} {request.resource}" for request in asked(cluster, user, offset))
