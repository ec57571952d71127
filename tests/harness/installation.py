"""The installed webhook as the API server finds it, where no kubelet and no kube-proxy are.

The controller's certificates reach the replicas by way of a mounted Secret, and the shipped configuration's
Service leads to a port of this machine.
"""

import base64
import http.client
import time
from pathlib import Path

import yaml

from hazelcast_sidecar.names import INJECTOR, PREFIX
from tests.harness.control_plane import ControlPlane
from tests.harness.shipped_manifests import OWN_NAMESPACE, ROOT

ADMISSION = "admissionregistration.k8s.io"
CONFIGURATIONS = f"/apis/{ADMISSION}/v1/mutatingwebhookconfigurations"
SECRETS = f"/api/v1/namespaces/{OWN_NAMESPACE}/secrets"
AUTHORITY, LEAF = f"{INJECTOR}-ca", f"{INJECTOR}-tls"
SERVER_NAME = f"{INJECTOR}.{OWN_NAMESPACE}.svc"
"""What the API server asks for when a configuration names a Service."""


def read_secret(cluster: ControlPlane, name: str) -> dict[str, bytes]:
    """A Secret's content; empty where there is none."""
    answer = cluster.request("GET", f"{SECRETS}/{name}")
    assert answer.code in (200, 404), answer.message
    data: dict[str, str] = answer.document.get("data") or {} if answer.code == 200 else {}
    return {key: base64.b64decode(value) for key, value in data.items()}


def read_ca_bundle(cluster: ControlPlane) -> bytes:
    """The one caBundle of all webhooks; empty where there is none."""
    document = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document
    (text,) = {webhook["clientConfig"].get("caBundle", "") for webhook in document["webhooks"]}
    return base64.b64decode(text)


class Kubelet:
    """Keeps a folder like the mounted Secret, in the kubelet's way: late, and by swapping a symbolic link."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._written: dict[str, bytes] = {}
        self._number = 0

    def sync(self, delay: float = 0.0) -> None:
        data = read_secret(self._cluster, LEAF)
        if data == self._written or not data:
            return
        time.sleep(delay)
        self._number += 1
        version = self._folder / f"..version-{self._number}"
        version.mkdir(mode=0o700)
        for key in ("tls.crt", "tls.key"):
            (version / key).write_bytes(data[key])
        fresh = self._folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self._folder / "..data")
        for key in ("tls.crt", "tls.key"):
            if not (self._folder / key).is_symlink():
                (self._folder / key).symlink_to(f"..data/{key}")
        self._written = data


def route_to(cluster: ControlPlane, port: int) -> None:
    """Let the shipped configuration's Service lead to a port of this machine.

    There is no kube-proxy: for a Service of the type ExternalName the API server needs none. It asks for the
    Service's name in the certificate all the same.
    """
    service = {"metadata": {"name": INJECTOR}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    assert cluster.request("POST", f"/api/v1/namespaces/{OWN_NAMESPACE}/services", service).code == 201
    document = yaml.safe_load((ROOT / "manifests" / "base" / "webhook.yaml").read_text())
    for each in document["webhooks"]:
        each["clientConfig"]["service"]["port"] = port
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
    assert cluster.request("POST", CONFIGURATIONS, document).code == 201


def injects(cluster: ControlPlane, namespace: str) -> bool:
    """Whether the API server reaches the server, and is satisfied by its certificate."""
    body = {
        "metadata": {"name": "probe", "annotations": {f"{PREFIX}inject": "true"}},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    return answer.code == 201 and "initContainers" in answer.document["spec"]


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


def is_installed(cluster: ControlPlane) -> bool:
    """Whether the webhook's configuration is there."""
    return cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").code == http.HTTPStatus.OK


def cluster_roles(cluster: ControlPlane) -> list[str]:
    """The names of the ClusterRoles of the installation, and of their bindings."""
    found = [
        item["metadata"]["name"]
        for kind in ("clusterroles", "clusterrolebindings")
        for item in cluster.request("GET", f"/apis/rbac.authorization.k8s.io/v1/{kind}").document["items"]
    ]
    return [name for name in found if "hazelcast" in name]
