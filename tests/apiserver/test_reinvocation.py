"""Another webhook changes the Pod after ours has: the API server asks ours again, and nothing is doubled."""

import base64
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import ACTIVE_SECONDS, WebhookServer
from tests.apiserver.control_plane import ControlPlane
from webhook import certificates

pytestmark = pytest.mark.apiserver

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class AddsProxy(http.server.BaseHTTPRequestHandler):
    """A webhook as a service mesh has one: every Pod gains a container `proxy`, once."""

    def do_POST(self) -> None:
        """Answer one admission review."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        names = [container["name"] for container in request["object"]["spec"]["containers"]]
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        if "proxy" not in names:
            container = {"name": "proxy", "image": "proxy:1"}
            patch = [{"op": "add", "path": "/spec/containers/-", "value": container}]
            response |= {
                "patchType": "JSONPatch",
                "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
            }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no line for each request."""


@pytest.fixture
def proxy_webhook(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve that webhook over TLS and return the clientConfig to reach it."""
    now = datetime.now(UTC)
    authority = certificates.make_authority(now)
    leaf = certificates.make_leaf(authority, ["127.0.0.1"], now)
    pem = tmp_path / "tls.pem"
    pem.write_bytes(leaf.certificate + leaf.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), AddsProxy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        bundle = base64.b64encode(authority.certificate).decode()
        yield {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle}
        server.shutdown()
        thread.join()


@pytest.fixture
def meshed_namespace(
    control_plane: ControlPlane,
    namespace: str,
    webhook_configuration: dict[str, Any],
    proxy_webhook: dict[str, str],
) -> Iterator[str]:
    """Name a namespace whose Pods the other webhook changes, after ours: they are called by name order."""
    configuration: dict[str, Any] = {
        "metadata": {"name": "proxy"},
        "webhooks": [
            {
                "name": "proxy.example.com",
                "clientConfig": proxy_webhook,
                "rules": webhook_configuration["webhooks"][0]["rules"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
            },
        ],
    }
    assert webhook_configuration["metadata"]["name"] < configuration["metadata"]["name"]
    answer = control_plane.request("POST", CONFIGURATIONS, configuration)
    assert answer.code == 201, answer.message
    try:
        deadline = time.monotonic() + ACTIVE_SECONDS
        while containers(control_plane, namespace, {}, "?dryRun=All") == ["app"]:
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        yield namespace
    finally:
        control_plane.request("DELETE", f"{CONFIGURATIONS}/proxy")


def containers(
    control_plane: ControlPlane,
    namespace: str,
    annotations: dict[str, str],
    query: str = "",
) -> list[str]:
    """Create a Pod and name all its containers, init containers first."""
    body = {
        "metadata": {"name": "shop", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    }
    answer = control_plane.request("POST", f"/api/v1/namespaces/{namespace}/pods{query}", body)
    assert answer.code == 201, answer.message
    spec = answer.document["spec"]
    return [container["name"] for container in [*spec.get("initContainers", []), *spec["containers"]]]


@pytest.mark.parametrize(
    ("native", "expected"),
    [("true", ["hazelcast", "app", "proxy"]), ("false", ["app", "hazelcast", "proxy"])],
    ids=["native", "ordinary"],
)
def test_member_is_injected_once(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    meshed_namespace: str,
    native: str,
    expected: list[str],
) -> None:
    prefix = "sidecar.hazelcast.com/"
    injected, asked_again = webhook.answered("injected"), webhook.answered("already-injected")
    annotations = {f"{prefix}inject": "true", f"{prefix}native-sidecar": native}
    assert containers(control_plane, meshed_namespace, annotations) == expected
    assert webhook.answered("injected") == injected + 1
    assert webhook.answered("already-injected") == asked_again + 1, "the webhook was not invoked again"
