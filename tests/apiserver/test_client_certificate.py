"""A real API server that shows the webhook a client certificate, as its AdmissionConfiguration says."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hazelcast_sidecar.certificates import make_authority
from tests.apiserver.conftest import found_programs
from tests.harness.client_certificates import make_client, write_pair
from tests.harness.control_plane import ControlPlane
from tests.harness.pods import ours, restricted
from tests.harness.shipped_manifests import ACTIVE_SECONDS, configure, register
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver

PODS = "/api/v1/namespaces/default/pods"

AUTHORITY = make_authority(datetime.now(UTC), name="clients")


@pytest.fixture(scope="module")
def presenting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """An API server with a client certificate for webhooks."""
    folder = tmp_path_factory.mktemp("admission")
    certificate, key = write_pair(make_client(AUTHORITY, "kube-apiserver"), folder, "client")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]}
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    group = "apiserver.config.k8s.io/v1"
    plugin = {"apiVersion": group, "kind": "WebhookAdmissionConfiguration"}
    plugin["kubeConfigFile"] = str(folder / "kubeconfig")
    plugins = [{"name": "MutatingAdmissionWebhook", "configuration": plugin}]
    configuration = {"apiVersion": group, "kind": "AdmissionConfiguration", "plugins": plugins}
    (folder / "admission.yaml").write_text(json.dumps(configuration))
    flags = [f"--admission-control-config-file={folder / 'admission.yaml'}"]
    with ControlPlane(found_programs(request.config), flags=flags) as running:
        yield running


def authority_file(folder: Path) -> Path:
    path = folder / "client-ca.crt"
    path.write_bytes(AUTHORITY.certificate)
    return path


def serving(folder: Path, name: str) -> WebhookServer:
    """A server that serves clients of the authority, of this name."""
    return WebhookServer(folder, "--client-ca", str(authority_file(folder)), "--client-name", name)


def test_an_api_server_with_a_certificate_is_served(
    presenting: ControlPlane, manifests: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, "kube-apiserver") as webhook:
        register(presenting, webhook, manifests)
        answer = presenting.request("POST", PODS, restricted(ours()))
        assert answer.code == 201, answer.message
        assert answer.document["spec"]["initContainers"][0]["name"] == "hazelcast"


def test_under_another_name_it_is_not_served_and_the_log_says_why(
    presenting: ControlPlane, manifests: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, "another") as webhook:
        configure(presenting, webhook, manifests)
        deadline = time.monotonic() + ACTIVE_SECONDS
        while "client refused" not in webhook.log.read_text():
            assert time.monotonic() < deadline, "the API server has not called"
            answer = presenting.request("POST", f"{PODS}?dryRun=All", restricted(ours()))
        assert answer.code == 500
        assert "failed calling webhook" in answer.message
        assert webhook.answered() == 0
        (line, *_) = [json.loads(line) for line in webhook.log.read_text().splitlines() if "refused" in line]
        assert line["names"] == ["kube-apiserver"]
