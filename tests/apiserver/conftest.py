"""The parts of an admission: the API server, the webhook as its own program, the configuration.

All of them are shared by the whole run, because starting them is what takes the time; each test gets a
namespace of its own.
"""

import base64
import contextlib
import http.client
import itertools
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hazelcast_sidecar import certificates
from tests.harness.control_plane import (
    ControlPlane,
    Program,
    UnavailableError,
    find_programs,
    get,
)
from tests.harness.ports import free_ports

ROOT = Path(__file__).parents[2]
ACTIVE_SECONDS = 180


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Run a real kube-apiserver with etcd for all tests."""
    with ControlPlane(found_programs(request.config)) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Run one for a module of tests alone, which may restart it and reads its audit log."""
    with ControlPlane(found_programs(request.config), audit=True) as running:
        yield running


def found_programs(config: pytest.Config) -> Path:
    """Find what a control plane consists of; skip, with the reason, where it is not there and no Go is."""
    try:
        return find_programs(announcer(config))
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a measured figure, whatever pytest captures."""
    return announcer(request.config)


def announcer(config: pytest.Config) -> Callable[[str], None]:
    """Return a way to write to the terminal while pytest captures: a build of minutes must not look hung."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def announce(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            sys.stderr.write(f"\n{line}")
            sys.stderr.flush()

    return announce


# --- namespaces --------------------------------------------------------------------------------------------

_numbers = itertools.count(1)


def create_namespace(control_plane: ControlPlane, labels: dict[str, str]) -> str:
    """Create a namespace that no other test uses; it goes with the API server, nobody could empty it."""
    name = f"test-{next(_numbers)}"
    metadata = {"name": name, "labels": labels}
    answer = control_plane.request("POST", "/api/v1/namespaces", {"metadata": metadata})
    assert answer.code == 201, answer.message
    return name


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """Name a fresh namespace."""
    return create_namespace(control_plane, {})


@pytest.fixture
def restricted_namespace(control_plane: ControlPlane) -> str:
    """Name a fresh namespace in which the API server enforces the Pod Security Standard `restricted`."""
    return create_namespace(control_plane, {"pod-security.kubernetes.io/enforce": "restricted"})


# --- the webhook -------------------------------------------------------------------------------------------


class WebhookServer:
    """`hazelcast-sidecar serve` as a program of its own, on two loopback ports that stay the same.

    Args:
        folder: takes its certificate, key and log.
        more: further options.
    """

    def __init__(self, folder: Path, *more: str) -> None:
        self._more = more
        now = datetime.now(UTC)
        authority = certificates.make_authority(now)
        leaf = certificates.make_leaf(authority, ["127.0.0.1"], now)
        self.ca = authority.certificate
        self.log = folder / "webhook.log"
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.certificate.write_bytes(leaf.certificate)
        self.key.write_bytes(leaf.key)
        self._port, self._admin_port = free_ports(2)
        self._program: Program | None = None

    def take_the_place_of_the_service(self, configuration: dict[str, Any]) -> None:
        """Have every webhook of a configuration name this server, and trust it."""
        for each in configuration["webhooks"]:
            url = f"https://127.0.0.1:{self._port}{each['clientConfig']['service']['path']}"
            each["clientConfig"] = {"url": url, "caBundle": base64.b64encode(self.ca).decode()}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when /readyz says so."""
        command = [sys.executable, "-m", "hazelcast_sidecar.cli", "serve"]
        command += ["--listen", f"127.0.0.1:{self._port}", "--admin-listen", f"127.0.0.1:{self._admin_port}"]
        command += ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]
        command += ["--drain-seconds", "0"]  # there is no Service whose endpoints would have to notice first
        command += self._more
        self._program = Program("hazelcast-sidecar serve", command, self.log)
        self._program.wait_until(self._is_ready)

    def stop(self) -> int | None:
        """Stop the server as Kubernetes does, with SIGTERM, and return its exit status."""
        program, self._program = self._program, None
        return program.stop() if program else None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Take the server down for a while, for what the API server does when nobody answers."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def patch(self, pod: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for the JSON Patch as the API server does, to see it before the API server has read it."""
        request = {"uid": "test", "operation": "CREATE", "namespace": "default", "object": pod}
        request |= {"kind": {"group": "", "version": "v1", "kind": "Pod"}}
        request |= {"resource": {"group": "", "version": "v1", "resource": "pods"}}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        context = ssl.create_default_context(cadata=self.ca.decode())
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=60)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/mutate/pods", json.dumps(review), headers)
            response = json.loads(connection.getresponse().read())["response"]
        operations: list[dict[str, Any]] = json.loads(base64.b64decode(response["patch"]))
        return operations

    def answered(self, outcome: str | None = None) -> float:
        """Return how many admission requests the server counts since its start, of one outcome or of all."""
        metrics = get(self._admin_port, "/metrics")[1]
        return counted(metrics, "hazelcast_sidecar_admission_requests_total", {"outcome": outcome})

    def _is_ready(self) -> bool:
        try:
            return get(self._admin_port, "/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False


def counted(metrics: str, name: str, labels: dict[str, str | None]) -> float:
    """Sum the samples of a counter in Prometheus text; a label of None may have any value."""
    wanted = {key: value for key, value in labels.items() if value is not None}
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    )


@pytest.fixture(scope="session")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """Run the real server."""
    with WebhookServer(tmp_path_factory.mktemp("webhook")) as server:
        yield server


# --- the configuration -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy manifests/ and make the development certificates there, as `make` does for a real installation.

    The working copy keeps whatever certificates it has, or none.
    """
    copy = tmp_path_factory.mktemp("repository") / "manifests"
    shutil.copytree(ROOT / "manifests", copy)
    made = subprocess.run(
        [sys.executable, str(ROOT / "certs" / "make.py"), "--into", str(copy / "overlays" / "dev" / "tls")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return copy


def rendered(control_plane: ControlPlane, folder: Path) -> list[dict[str, Any]]:
    """Return the objects that a kustomization renders to."""
    text = control_plane.kubectl("kustomize", str(folder)).stdout
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="session")
def webhook_configuration(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    manifests: Path,
) -> dict[str, Any]:
    """Have it called by the API server that all tests share."""
    return register(control_plane, webhook, manifests)


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
