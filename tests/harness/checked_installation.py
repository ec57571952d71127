"""An installation as the check finds it, and the check.

No kubelet and no controllers of Kubernetes run: what they would leave is written here.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hazelcast_sidecar.names import INJECTOR
from tests.harness.accounts import NAME
from tests.harness.command_line import run_here
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASES
from tests.harness.pods import ours
from tests.harness.shipped_manifests import OWN_NAMESPACE, ROOT, apply_strictly, rendered, wait_until_called
from tests.harness.webhook_server import WebhookServer

Findings = list[dict[str, str]]
Check = Callable[..., tuple[int, Findings]]

SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


def install(cluster: ControlPlane, server: WebhookServer) -> dict[str, Any]:
    """Apply manifests/base, with what Kubernetes itself adds; the configuration, for repair."""
    objects = rendered(cluster, ROOT / "manifests" / "base")
    (configuration,) = [found for found in objects if found["kind"] == "MutatingWebhookConfiguration"]
    server.take_the_place_of_the_service(configuration)
    assert apply_strictly(cluster, objects) == []
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    assert cluster.request("POST", "/api/v1/nodes", node).code == 201
    info = {"kubeletVersion": "v1.34.1", "operatingSystem": "linux"}
    merge(cluster, "/api/v1/nodes/one/status", {"status": {"nodeInfo": info}})
    for name in (INJECTOR, NAME):
        path = f"/apis/apps/v1/namespaces/{OWN_NAMESPACE}/deployments/{name}/status"
        counted = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), 2)
        merge(cluster, path, {"status": counted})
    labels = {"kubernetes.io/service-name": INJECTOR}
    ready = {"addresses": ["10.0.0.7"], "conditions": {"ready": True}}
    slices = {"metadata": {"name": INJECTOR, "labels": labels}, "addressType": "IPv4", "endpoints": [ready]}
    assert cluster.request("POST", SLICES.format(OWN_NAMESPACE), slices).code == 201
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 3600, "renewTime": now, "acquireTime": now}
    lease = {"metadata": {"name": NAME}, "spec": spec}
    assert cluster.request("POST", f"{LEASES}/{OWN_NAMESPACE}/leases", lease).code == 201
    wait_until_called(cluster, server)
    return configuration


def merge(cluster: ControlPlane, path: str, patch: dict[str, Any]) -> None:
    answer = cluster.request("PATCH", path, patch, MERGE)
    assert answer.code == 200, answer.message


def check_of(cluster: ControlPlane) -> Check:
    """Return a way to run the command; its exit status and findings."""

    def run(*options: str, kubeconfig: Path = cluster.kubeconfig) -> tuple[int, Findings]:
        done = run_here("check", "--kubeconfig", str(kubeconfig), "-o", "json", *options)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    return run


def wrong(findings: Findings) -> set[tuple[str, str]]:
    """What is not right, each with its state; everything of it says what to type."""
    found = [each for each in findings if each["state"] in ("problem", "warning")]
    assert all(each["fix"] for each in found), found
    return {(each["check"], each["state"]) for each in found}


def message(findings: Findings, check: str) -> str:
    """The sentence of one check."""
    return next(each["message"] for each in findings if each["check"] == check)


def create_pod(
    cluster: ControlPlane,
    namespace: str,
    name: str,
    group: str,
    owner: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
) -> None:
    """Create a Pod that the webhook injects; without an owner it is a bare one."""
    metadata: dict[str, Any] = {"name": name, "annotations": ours(group=group), "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    body = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}}
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert answer.code == 201, answer.message


RBAC = "/apis/rbac.authorization.k8s.io/v1"
VIEW = "system:aggregate-to-view"


def user(
    cluster: ControlPlane, folder: Path, name: str, binding: str, role: str, namespace: str = "default"
) -> Path:
    """Bind a ClusterRole to somebody, in one namespace or in all; their kubeconfig.

    Args:
        cluster: where.
        folder: for the kubeconfig.
        name: of the user, and of the binding.
        binding: a ClusterRoleBinding, or a RoleBinding.
        role: of what they may do.
        namespace: of a RoleBinding.
    """
    made = {"metadata": {"name": name}}
    assert cluster.request("POST", "/api/v1/namespaces/default/serviceaccounts", made).code in (201, 409)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    where = "" if binding == "ClusterRoleBinding" else f"/namespaces/{namespace}"
    body = {**made, "subjects": [subject], "roleRef": reference}
    assert cluster.request("POST", f"{RBAC}{where}/{binding.lower()}s", body).code in (201, 409)
    path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
    token = cluster.request("POST", path, {"spec": {"expirationSeconds": 7200}}).document["status"]["token"]
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    file = folder / f"{name}.kubeconfig"
    file.write_text(json.dumps(config))
    return file
