"""Workloads in an API server, for Pods to belong to."""

from typing import Any

from tests.harness.control_plane import ControlPlane

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
