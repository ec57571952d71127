"""A client that is not Python, as an image of its own inside injected Pods."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import PREFIX
from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import container_statuses, until
from tests.e2e.workloads import first_pod

if TYPE_CHECKING:
    from tests.e2e.conftest import Sightings
    from tests.e2e.http_client import Entrance
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

GROUP = "languages"
# Not the client's defaults: it has to be told.
GIVEN = {"inject": "true", "group": GROUP, "port": "5711", "cluster-name": "tongues"}


@pytest.fixture(scope="session")
def client_image() -> str:
    given = os.environ.get("CLIENT_IMAGE")
    if not given:
        pytest.skip("CLIENT_IMAGE names no image of build/client (`make client` makes what is in it)")
    return given


def pod_with_client(
    manifests: list[dict[str, Any]], name: str, image: str, *arguments: str, beside_app: bool
) -> dict[str, Any]:
    """An injected Pod in which the client runs once, beside the demo application or alone."""
    pod = first_pod(manifests)
    pod["metadata"] = {
        "name": name,
        "labels": {"app": GROUP},
        "annotations": {f"{PREFIX}{key}": text for key, text in GIVEN.items()},
    }
    (app,) = pod["spec"]["containers"]
    client = {
        "name": "go",
        "image": image,
        "args": [*arguments],
        "resources": app["resources"],
        "securityContext": app["securityContext"],
    }
    pod["spec"] |= {"restartPolicy": "Never", "containers": [app, client] if beside_app else [client]}
    return pod


def is_done(kubectl: Kubectl, pod: str) -> bool:
    """Whether the client has ended well."""
    statuses = container_statuses(kubectl.read("pod", pod))
    codes = [each["state"].get("terminated", {}).get("exitCode") for each in statuses if each["name"] == "go"]
    assert set(codes) <= {None, 0}, kubectl("logs", pod, "--container=go")
    return codes == [0]


def is_connected(app: Entrance) -> bool:
    try:
        return "connected" in app.get("/readyz")
    except OSError:
        return False


def test_what_go_puts_python_gets_and_the_other_way_round(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], client_image: str, sightings: Sightings
) -> None:
    """The member of each Pod is its client's; the image has one file in it."""
    put = ("put", "from Go", "Grüße")
    demo.apply(pod_with_client(demo_manifests, "writer", client_image, *put, beside_app=True))
    until(120, "the client has put", lambda: is_done(demo, "writer"))
    with api_proxy(demo) as api:
        app = replica(api, "writer")
        until(60, "the application is connected", lambda: is_connected(app))
        assert app.get("/get", key="from Go") == "Grüße"
        assert app.get("/put", key="from Python", value="Žluťoučký") == ""

    get = ("get", "from Python")
    demo.apply(pod_with_client(demo_manifests, "reader", client_image, *get, beside_app=False))
    until(120, "the client has got", lambda: is_done(demo, "reader"))
    assert "Žluťoučký" in demo("logs", "reader", "--container=go").splitlines()
    sightings.note(f"{client_image} in injected Pods", demo.ready(f"app={GROUP}"))
    demo("delete", "pods", f"--selector=app={GROUP}", "--wait=false")
