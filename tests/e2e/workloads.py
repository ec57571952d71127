"""Deployments and Pods for the tests, made of the demo's manifests, and what else they have in common."""

from __future__ import annotations

import copy
from typing import Any

from hazelcast_sidecar.names import PREFIX
from tests.e2e.kubectl import find

DEMO = "hazelcast-demo"
"""The demo's namespace."""

DENY_ALL: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
"""Nothing reaches the Pods of its namespace, and they reach nothing."""


def with_members(manifests: list[dict[str, Any]], name: str, replicas: int, **given: str) -> dict[str, Any]:
    """The demo's Deployment under another name, with these annotations."""
    deployment: dict[str, Any] = copy.deepcopy(find(manifests, "Deployment", "demo"))
    labels = {"app": name}
    deployment["metadata"] = {"name": name}
    deployment["spec"] |= {"replicas": replicas, "selector": {"matchLabels": labels}}
    annotations = {f"{PREFIX}{key}": text for key, text in {"inject": "true", **given}.items()}
    deployment["spec"]["template"]["metadata"] = {"labels": labels, "annotations": annotations}
    return deployment


def spread(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same Deployment with its Pods evenly on the nodes."""
    pod = deployment["spec"]["template"]["spec"]
    pod["topologySpreadConstraints"] = [
        {
            "topologyKey": "kubernetes.io/hostname",
            "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": deployment["spec"]["selector"],
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]
    return deployment


def first_pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """A Pod like the demo's, to change at will."""
    template = copy.deepcopy(next(d for d in manifests if d["kind"] == "Deployment")["spec"]["template"])
    metadata = {**template["metadata"], "name": "first", "namespace": DEMO}
    # No workload makes it, and a budget would block its eviction for ever.
    metadata["annotations"].pop(f"{PREFIX}disruption-budget", None)
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}


def idle_pod(manifests: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A Pod with the demo's Python and its client, which waits for commands."""
    pod = first_pod(manifests)
    pod["metadata"] = {"name": name, "labels": {"app": name}}
    (container,) = pod["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        del container[probe]
    container["command"] = ["sleep", "infinity"]
    pod["spec"]["terminationGracePeriodSeconds"] = 1
    return pod
