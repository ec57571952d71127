"""What PodMonitors select on the cluster, and a Pod through which a Prometheus outside of it gets there.

So scrapes come from a Pod, as those of a Prometheus in the cluster do, and NetworkPolicies see them as such.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from tests.e2e.kubectl import Kubectl, running_kubectl
from tests.e2e.workloads import idle_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.prometheus import JsonObject

SCRAPER = "scraper"
FORWARDING = re.compile(r"Forwarding from (127[.]0[.]0[.]1:[0-9]+)")

_PROXY = """
import http.server, urllib.request

class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with urllib.request.urlopen(self.path, timeout=5) as answer:
                status, body, kind = answer.status, answer.read(), answer.headers["Content-Type"]
        except OSError as error:
            status, body, kind = 502, str(error).encode(), "text/plain"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", 3128), Proxy).serve_forever()
"""


@contextlib.contextmanager
def proxy_in_a_pod(kubectl: Kubectl, demo_manifests: list[dict[str, Any]]) -> Iterator[str]:
    """An HTTP proxy in a Pod, by its address on this machine."""
    pod = idle_pod(demo_manifests, SCRAPER)
    pod["spec"]["containers"][0]["command"] = ["python", "-c", _PROXY]
    kubectl.apply(pod)
    kubectl.pods_ready(SCRAPER)
    command = ("port-forward", f"--namespace={kubectl.namespace}", f"pod/{SCRAPER}", ":3128")
    with running_kubectl(*command, announces=FORWARDING) as match:
        yield f"http://{match[1]}"


def targets_of(monitor: JsonObject) -> list[JsonObject]:
    """The targets that a PodMonitor selects, with the labels that the operator gives them."""
    spec = monitor["spec"]
    anywhere = spec.get("namespaceSelector", {}).get("any", False)
    where = ["--all-namespaces"] if anywhere else []
    wanted = f"--selector={selector_text(spec['selector'])}"
    pods = Kubectl(monitor["metadata"]["namespace"]).read("pods", wanted, *where)["items"]
    (endpoint,) = spec["podMetricsEndpoints"]
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {
                "namespace": meta["namespace"],
                "pod": meta["name"],
                "container": container["name"],
                **labels_of(endpoint, meta["labels"]),
            },
        }
        for pod in pods
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
