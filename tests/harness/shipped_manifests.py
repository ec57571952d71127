"""The manifests of this checkout, applied to an API server; a test's webhook takes the Service's place."""

import http.client
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.control_plane import ControlPlane
from tests.harness.webhook_server import WebhookServer

ROOT = Path(__file__).parents[2]
OWN_NAMESPACE = "hazelcast-sidecar-injector"
ACTIVE_SECONDS = 180


def rendered(control_plane: ControlPlane, folder: Path) -> list[dict[str, Any]]:
    """Return the objects that a kustomization renders to."""
    text = control_plane.kubectl("kustomize", str(folder)).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def register(control_plane: ControlPlane, webhook: WebhookServer, manifests: Path) -> dict[str, Any]:
    """Register the configuration of the manifests, as `configure` does, and wait for effect."""
    configuration = configure(control_plane, webhook, manifests)
    wait_until_called(control_plane, webhook)
    return configuration


def configure(control_plane: ControlPlane, webhook: WebhookServer, manifests: Path) -> dict[str, Any]:
    """Register the configuration of the manifests, changed only in where the webhook is.

    The API server is not in a cluster and can reach no Service, so the server's URL takes its place. It is
    applied as the manifests are, so that a dry run of these finds nobody else's fields in the way.
    """
    objects = rendered(control_plane, manifests / "base")
    (configuration,) = [found for found in objects if found["kind"] == "MutatingWebhookConfiguration"]
    webhook.take_the_place_of_the_service(configuration)
    assert apply_strictly(control_plane, [configuration]) == []
    return configuration


def apply_strictly(control_plane: ControlPlane, objects: list[dict[str, Any]], *options: str) -> list[str]:
    """Apply objects, with unknown and duplicate fields refused, and return every complaint and warning."""
    arguments = ["apply", "--server-side", "--validate=strict", *options, "-f", "-"]
    done = control_plane.kubectl(*arguments, stdin=yaml.safe_dump_all(objects), check=False)
    complaints = done.stderr.splitlines()
    assert complaints or len(done.stdout.splitlines()) == len(objects), done.stdout
    return complaints


def wait_until_called(control_plane: ControlPlane, webhook: WebhookServer) -> None:
    """Return once the API server calls the webhook: it takes up a new configuration a moment later."""
    before = webhook.answered()
    probe = {
        "metadata": {"name": "probe", "annotations": {"sidecar.hazelcast.com/inject": "true"}},
        "spec": {"containers": [{"name": "probe", "image": "probe:1"}]},
    }
    deadline = time.monotonic() + ACTIVE_SECONDS
    while webhook.answered() == before:
        assert time.monotonic() < deadline, f"the webhook was not called within {ACTIVE_SECONDS} s"
        answer = control_plane.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", probe)
        # For a moment it may still trust the authority of the configuration before.
        if answer.code != http.HTTPStatus.CREATED and "unknown authority" not in answer.message:
            pytest.fail(f"{answer.message} (log: {webhook.log})")
