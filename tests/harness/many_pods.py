"""Thousands of Pods in an API server, and the namespaces for them."""

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from hazelcast_sidecar.names import PREFIX
from tests.harness.control_plane import ControlPlane
from tests.harness.group_pods import spec_of, status
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.stored_workloads import replica_set

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
