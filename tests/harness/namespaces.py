"""Namespaces of tests."""

import itertools

from tests.harness.control_plane import ControlPlane

_numbers = itertools.count(1)


def create_namespace(control_plane: ControlPlane, labels: dict[str, str]) -> str:
    """Create a namespace that no other test uses; it goes with the API server, nobody could empty it."""
    name = f"test-{next(_numbers)}"
    metadata = {"name": name, "labels": labels}
    answer = control_plane.request("POST", "/api/v1/namespaces", {"metadata": metadata})
    assert answer.code == 201, answer.message
    return name


def remove_pods(cluster: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0"
    assert cluster.request("DELETE", path).code == 200
