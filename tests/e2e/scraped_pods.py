"""What PodMonitors select on the cluster, to be scraped through the API server.

So Prometheus needs no way to the Pods' network. What NetworkPolicies do to scrapes is tested from Pods.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.e2e.kubectl import Kubectl

if TYPE_CHECKING:
    from tests.e2e.http_client import Entrance
    from tests.harness.prometheus import JsonObject


def targets_of(monitor: JsonObject, api: Entrance) -> list[JsonObject]:
    """The targets that a PodMonitor selects, with the labels that the operator gives them."""
    spec = monitor["spec"]
    anywhere = spec.get("namespaceSelector", {}).get("any", False)
    pods = Kubectl(monitor["metadata"]["namespace"])(
        "get", "pods", f"--selector={selector_text(spec['selector'])}", "--output=json",
        *(["--all-namespaces"] if anywhere else []),
    )  # fmt: skip
    (endpoint,) = spec["podMetricsEndpoints"]
    return [
        {
            "targets": [f"{api.host}:{api.port}"],
            "labels": {
                "__metrics_path__": f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:"
                f"{port['containerPort']}/proxy/metrics",
                "instance": f"{pod['status']['podIP']}:{port['containerPort']}",
                "namespace": meta["namespace"],
                "pod": meta["name"],
                "container": container["name"],
                **labels_of(endpoint, meta["labels"]),
            },
        }
        for pod in json.loads(pods)["items"]
        for meta in [pod["metadata"]]
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in meta
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        for port in container.get("ports", [])
        if port.get("name") == endpoint["port"]
    ]


def selector_text(selector: JsonObject) -> str:
    """A selector as kubectl takes it."""
    terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "Exists", expression
        terms.append(expression["key"])
    return ",".join(terms)


def labels_of(endpoint: JsonObject, labels: JsonObject) -> JsonObject:
    """What its relabelings make of a Pod's labels."""
    discovered = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', k)}": v for k, v in labels.items()
    }
    return {each["targetLabel"]: discovered[each["sourceLabels"][0]] for each in endpoint["relabelings"]}
