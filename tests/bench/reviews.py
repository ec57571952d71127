"""Pods of three sizes, and the reviews that an API server sends of them.

`python -m tests.bench.reviews` records the reviews anew, from a real kube-apiserver, into `recorded/`.
"""

import base64
import json
import ssl
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from hazelcast_sidecar.certificates import make_authority, make_leaf
from tests.harness.control_plane import ControlPlane, find_programs

FOLDER = Path(__file__).parent / "recorded"
WORKLOAD = "checkout"
"""The name that stands in every review wherever a workload's name does; it may be replaced by another."""
SIZES = ("small", "typical", "large")
"""Some 4, 8 and 60 KiB as a whole review."""

_HASH = "7c9d8f6b54"
_TOKEN = "kube-api-access-x7k2p"  # noqa: S105 - a volume's name


def recorded(name: str) -> Path:
    """The file of one review; `name` is one of `SIZES`."""
    return FOLDER / f"{name}.json"


def pod(name: str) -> dict[str, Any]:
    """A Pod as the ReplicaSet of a Deployment makes it, with what the ServiceAccount plugin adds."""
    sidecars, variables, notes = {"small": (0, 1, 0), "typical": (1, 10, 1), "large": (7, 72, 20)}[name]
    app = _container("app", variables, probes=name != "small")
    containers = [app, *(_container(f"side-{n}", variables // 2, probes=True) for n in range(sidecars))]
    volumes = [{"name": f"settings-{n}", "configMap": {"name": f"{WORKLOAD}-{n}"}} for n in range(sidecars)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{WORKLOAD}-{_HASH}-",
            "labels": {"app.kubernetes.io/name": WORKLOAD, "pod-template-hash": _HASH},
            "annotations": {
                "sidecar.hazelcast.com/inject": "true",
                "sidecar.hazelcast.com/log-level": "WARN",
                **{
                    f"example.com/note-{n}": "What the next team should know of it. " * 6
                    for n in range(notes)
                },
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{WORKLOAD}-{_HASH}",
                    "uid": "2b3a9c1e-3f0e-4a55-9d1c-5a4a1c1f0f11",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "serviceAccountName": WORKLOAD,
            "containers": containers,
            "volumes": [*volumes, _token_volume()],
        },
    }


def _container(name: str, variables: int, *, probes: bool) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": f"registry.example.com/shop/{WORKLOAD}/{name}:1.4.2",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"SETTING_{n:02}", "value": f"https://{n}.example.com"} for n in range(variables)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"name": _TOKEN, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
        ],
    }
    if probes:
        container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5}
        container["livenessProbe"] = {"httpGet": {"path": "/alive", "port": "http"}, "periodSeconds": 10}
        container["securityContext"] = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}
    return container


def _token_volume() -> dict[str, Any]:
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    return {"name": _TOKEN, "projected": {"sources": sources}}


def record() -> None:
    """Create each Pod in a real API server and keep the bytes that its webhook got."""
    bodies: list[bytes] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(body)
            uid = json.loads(body)["request"]["uid"]
            answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
            text = json.dumps({**answer, "response": {"uid": uid, "allowed": True}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    now = datetime.now(UTC)
    authority = make_authority(now)
    leaf = make_leaf(authority, ["127.0.0.1"], now)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with TemporaryDirectory() as folder, ControlPlane(find_programs(print)) as cluster:
        files = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        for file, content in zip(files, (leaf.certificate, leaf.key), strict=True):
            file.write_bytes(content)
        context.load_cert_chain(*files)
        server = HTTPServer(("127.0.0.1", 0), Recorder)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_port}/mutate/pods"
        configuration = _configuration(url, authority.certificate)
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(configuration))
        path = "/api/v1/namespaces/default/pods?dryRun=All&fieldValidation=Strict"
        while not bodies:  # a moment passes before the configuration is in force
            cluster.request("POST", path, pod("small"))
        for name in SIZES:
            answer = cluster.request("POST", path, pod(name))
            if answer.code != 201:
                sys.exit(f"{name}: {answer.message}")
            recorded(name).write_bytes(bodies[-1])
            sys.stdout.write(f"{recorded(name).name}: {len(bodies[-1])} bytes\n")
        server.shutdown()


def _configuration(url: str, authority: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "recorder"},
        "webhooks": [
            {
                "name": "recorder.example.com",
                "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                    }
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


if __name__ == "__main__":
    record()
