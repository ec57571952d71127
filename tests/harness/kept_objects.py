"""Objects in an API server that the controller keeps for groups."""

import json
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hazelcast_sidecar.group_objects.desired_objects import of_group, requirements_of
from hazelcast_sidecar.model.status import decode
from hazelcast_sidecar.names import PREFIX
from tests.harness.accounts import RBAC
from tests.harness.control_plane import ControlPlane
from tests.harness.group_pods import status
from tests.harness.waiting import APPEAR_SECONDS, until

OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
POLICY, NETWORKING = "policy", "networking.k8s.io"
FOLDERS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": f"/apis/{POLICY}/v1/namespaces/{{}}/poddisruptionbudgets",
    "NetworkPolicy": f"/apis/{NETWORKING}/v1/namespaces/{{}}/networkpolicies",
    "RoleBinding": RBAC + "/namespaces/{}/rolebindings",
}
OF_DISCOVERY = {"dns": ["ConfigMap", "Service"], "api": ["ConfigMap", "RoleBinding"]}


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


def kept(cluster: ControlPlane, kind: str, namespaces: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count the objects of a kind that the controller keeps, by namespace and group."""
    selector = ",".join(f"{key}%3D{value}" for key, value in OURS.items())
    path = FOLDERS[kind].replace("/namespaces/{}", "")
    items = cluster.request("GET", f"{path}?labelSelector={selector}").document["items"]
    found = [item["metadata"] for item in items]
    return Counter(
        (m["namespace"], m["labels"][f"{PREFIX}group"]) for m in found if m["namespace"] in namespaces
    )
