"""The controller's ServiceAccount, with exactly the shipped rights."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.harness.control_plane import ControlPlane
from tests.harness.shipped_manifests import OWN_NAMESPACE, ROOT, apply_strictly, rendered
from tests.harness.waiting import APPEAR_SECONDS, until

NAME = "hazelcast-sidecar-controller"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
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
