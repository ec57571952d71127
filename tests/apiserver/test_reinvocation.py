"""Another webhook changes the Pod, before ours or after it: both are asked again, and nothing is doubled."""

import base64
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import ACTIVE_SECONDS, WebhookServer, create_namespace
from tests.apiserver.control_plane import ControlPlane
from webhook import certificates

pytestmark = pytest.mark.apiserver

PREFIX = "sidecar.hazelcast.com/"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
ADDED = "proxy"
"""The name of everything that the other webhook adds."""


def missing(elements: list[dict[str, Any]] | None, name: str = ADDED) -> bool:
    """Whether the other webhook has not been at this list."""
    return name not in [element["name"] for element in elements or []]


def meshed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as a service mesh wants it: one thing more in every list, in front or behind, and once."""
    made = deepcopy(spec)
    if missing(made["containers"]):
        made["containers"].append({"name": ADDED, "image": "proxy:1"})
    if missing(made.get("initContainers"), f"{ADDED}-init"):
        # In front, where ours belongs too.
        first = {"name": f"{ADDED}-init", "image": "proxy:1"}
        made["initContainers"] = [first, *made.get("initContainers", [])]
    if missing(made.get("volumes")):
        made["volumes"] = [{"name": ADDED, "emptyDir": {}}, *made.get("volumes", [])]
    for container in made["containers"] + made["initContainers"]:
        if missing(container.get("env")):
            container["env"] = [{"name": ADDED, "value": "x"}, *container.get("env", [])]
    return made


def unmeshed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec without what `meshed` adds; a list that is empty then is absent, as the API server has it."""
    left = deepcopy(spec)
    for part in ("containers", "initContainers", "volumes"):
        left[part] = [each for each in left.get(part, []) if each["name"] not in {ADDED, f"{ADDED}-init"}]
        for each in left[part]:
            each["env"] = [variable for variable in each.get("env", []) if variable["name"] != ADDED]
            if not each["env"]:
                del each["env"]
        if not left[part]:
            del left[part]
    return left


class Mesh(http.server.BaseHTTPRequestHandler):
    """The other webhook."""

    def do_POST(self) -> None:
        """Answer one admission review."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        spec = request["object"]["spec"]
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        if (wanted := meshed(spec)) != spec:
            patch = [{"op": "replace", "path": "/spec", "value": wanted}]
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
def mesh(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve that webhook over TLS and return the clientConfig to reach it."""
    now = datetime.now(UTC)
    authority = certificates.make_authority(now)
    leaf = certificates.make_leaf(authority, ["127.0.0.1"], now)
    pem = tmp_path / "tls.pem"
    pem.write_bytes(leaf.certificate + leaf.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mesh) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        bundle = base64.b64encode(authority.certificate).decode()
        yield {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle}
        server.shutdown()
        thread.join()


Create = Callable[..., dict[str, Any]]


@pytest.fixture
def create(control_plane: ControlPlane) -> Create:
    """Create a Pod and return its spec as it is stored."""

    def creating(
        namespace: str, annotations: dict[str, str], init_containers: list[Any], query: str = ""
    ) -> dict[str, Any]:
        spec = {"containers": [{"name": "app", "image": "shop:1"}], "initContainers": init_containers}
        body = {"metadata": {"name": "shop", "annotations": annotations}, "spec": spec}
        answer = control_plane.request("POST", f"/api/v1/namespaces/{namespace}/pods{query}", body)
        assert answer.code == 201, answer.message
        stored: dict[str, Any] = answer.document["spec"]
        return stored

    return creating


@pytest.fixture(params=["a-mesh", "mesh"], ids=["before ours", "after ours"])
def meshed_namespace(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    namespace: str,
    webhook_configuration: dict[str, Any],
    mesh: dict[str, str],
    create: Create,
) -> Iterator[str]:
    """Name a namespace whose Pods the other webhook changes; webhooks are called by name order."""
    configuration: dict[str, Any] = {
        "metadata": {"name": request.param},
        "webhooks": [
            {
                "name": "mesh.example.com",
                "clientConfig": mesh,
                "rules": webhook_configuration["webhooks"][0]["rules"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "reinvocationPolicy": "IfNeeded",
            },
        ],
    }
    is_before = configuration["metadata"]["name"] < webhook_configuration["metadata"]["name"]
    assert is_before == (request.param == "a-mesh")
    answer = control_plane.request("POST", CONFIGURATIONS, configuration)
    assert answer.code == 201, answer.message
    try:
        deadline = time.monotonic() + ACTIVE_SECONDS
        while missing(create(namespace, {}, [], "?dryRun=All")["containers"]):
            assert time.monotonic() < deadline, f"no call within {ACTIVE_SECONDS} s"
        yield namespace
    finally:
        control_plane.request("DELETE", f"{CONFIGURATIONS}/{request.param}")


def names(elements: list[dict[str, Any]]) -> list[str]:
    return [element["name"] for element in elements]


@pytest.mark.parametrize("init_containers", [[], [{"name": "migrate", "image": "shop:1"}]], ids=["", "init"])
@pytest.mark.parametrize("native", ["true", "false"], ids=["native", "ordinary"])
def test_each_thing_is_there_once_and_ours_is_intact(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    meshed_namespace: str,
    create: Create,
    init_containers: list[Any],
    native: str,
) -> None:
    annotations = {f"{PREFIX}inject": "true", f"{PREFIX}native-sidecar": native}
    alone = create(create_namespace(control_plane, {}), annotations, init_containers)
    injected, asked_again = webhook.answered("injected"), webhook.answered("already-injected")

    spec = create(meshed_namespace, annotations, init_containers)

    assert webhook.answered("injected") == injected + 1
    assert webhook.answered("already-injected") > asked_again, "the webhook was not invoked again"
    assert unmeshed(spec) == alone
    containers = spec["initContainers"] + spec["containers"]
    for elements in (containers, spec["volumes"], *(container["env"] for container in containers)):
        assert len(names(elements)) == len(set(names(elements)))
    assert {"hazelcast", ADDED, f"{ADDED}-init"} <= set(names(containers))
    assert all(ADDED in names(container["env"]) for container in containers)
