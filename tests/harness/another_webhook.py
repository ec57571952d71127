"""A mutating webhook beside ours, which changes Pods as a test wants it."""

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hazelcast_sidecar import certificates
from tests.harness.control_plane import ControlPlane

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

Change = Callable[[dict[str, Any]], None]
"""What the other webhook makes of a Pod, in place."""


class OtherWebhook(http.server.ThreadingHTTPServer):
    """The other webhook, over TLS.

    Args:
        folder: takes its certificate.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        now = datetime.now(UTC)
        self.authority = certificates.make_authority(now)
        leaf = certificates.make_leaf(self.authority, ["127.0.0.1"], now)
        pem = folder / "tls.pem"
        pem.write_bytes(leaf.certificate + leaf.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.change: Change = lambda _: None

    @property
    def client_config(self) -> dict[str, str]:
        """How the API server reaches it."""
        bundle = base64.b64encode(self.authority.certificate).decode()
        return {"url": f"https://127.0.0.1:{self.server_port}/", "caBundle": bundle}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer one admission review."""
        assert isinstance(self.server, OtherWebhook)
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        pod = request["object"]
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        wanted = deepcopy(pod)
        self.server.change(wanted)
        if wanted != pod:
            patch = [
                {"op": "replace", "path": f"/{part}", "value": wanted[part]} for part in ("metadata", "spec")
            ]
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


@contextmanager
def serving(folder: Path) -> Iterator[OtherWebhook]:
    """Serve that webhook."""
    with OtherWebhook(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def registered(
    control_plane: ControlPlane,
    name: str,
    namespace: str,
    other: OtherWebhook,
    reinvocation: str,
) -> Iterator[None]:
    """Have the API server ask the other webhook about Pods of a namespace, beside ours."""
    webhook = {
        "name": "other.example.com",
        "clientConfig": other.client_config,
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "reinvocationPolicy": reinvocation,
    }
    configuration = {"metadata": {"name": name}, "webhooks": [webhook]}
    answer = control_plane.request("POST", CONFIGURATIONS, configuration)
    assert answer.code == 201, answer.message
    try:
        yield
    finally:
        control_plane.request("DELETE", f"{CONFIGURATIONS}/{name}")
