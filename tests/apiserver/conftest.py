"""The parts of these tests: API servers, the webhook and the controller as programs, the configuration.

What the whole run shares takes long to start; each test gets a namespace of its own.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.accounts import NAME, RBAC, Account, ship
from tests.harness.answers import Answers
from tests.harness.audits import COMPONENT, FOUND_SECONDS, can_evict
from tests.harness.checked_installation import Check, check_of, install
from tests.harness.control_plane import ControlPlane, find_programs, release_of
from tests.harness.controller_program import LEASES, Controller, started
from tests.harness.go_programs import UnavailableError
from tests.harness.helm import RELEASES, Helm, find_helm
from tests.harness.line import Line
from tests.harness.namespace_controller import NamespaceController
from tests.harness.namespaces import create_namespace, remove_pods
from tests.harness.shared_controller import SharedController, Sharing
from tests.harness.shipped_manifests import ROOT, apply_strictly, register, rendered
from tests.harness.waiting import APPEAR_SECONDS, until
from tests.harness.webhook_server import WebhookServer


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, before any fixture is made, a test of what the API server is too old for."""
    for marker in item.iter_markers("since"):
        release, what = marker.args
        if release_of(found_programs(item.config)) < tuple(map(int, release.split("."))):
            pytest.skip(f"{what} needs Kubernetes {release}")


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


@pytest.fixture(scope="module")
def namespace_controller(cluster: ControlPlane) -> Iterator[None]:
    """Have namespaces of a module's own API server removed once they are deleted."""
    thread = NamespaceController(cluster)
    thread.start()
    yield
    thread.stop()


OLDER, NEWEST = RELEASES
HELMS = [
    pytest.param(OLDER, marks=pytest.mark.slow, id=f"helm{OLDER}"),
    pytest.param(NEWEST, id=f"helm{NEWEST}"),
]


@pytest.fixture(scope="module", params=HELMS)
def helm(request: pytest.FixtureRequest) -> Helm:
    """Find or build each release; skip, with the reason, where it is not there and no Go is."""
    try:
        return find_helm(request.param, announcer(request.config))
    except UnavailableError as reason:
        pytest.skip(str(reason))


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


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name a fresh namespace: of the module's own API server where the test has one, else of the shared one.

    In the end it has no Pods, so that the next controller has nothing to do.
    """
    own = "cluster" in request.fixturenames
    server: ControlPlane = request.getfixturevalue("cluster" if own else "control_plane")
    name = create_namespace(server, {})
    yield name
    remove_pods(server, name)


@pytest.fixture
def restricted_namespace(control_plane: ControlPlane) -> str:
    """Name a fresh namespace in which the API server enforces the Pod Security Standard `restricted`."""
    return create_namespace(control_plane, {"pod-security.kubernetes.io/enforce": "restricted"})


# --- the webhook -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """Run the real server."""
    with WebhookServer(tmp_path_factory.mktemp("webhook")) as server:
        yield server


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


@pytest.fixture(scope="session")
def webhook_configuration(
    control_plane: ControlPlane,
    webhook: WebhookServer,
    manifests: Path,
) -> dict[str, Any]:
    """Have it called by the API server that all tests share."""
    return register(control_plane, webhook, manifests)


# --- an installation that is checked -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """A webhook of this module's own, whose certificate it may exchange."""
    with WebhookServer(tmp_path_factory.mktemp("webhook")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(cluster: ControlPlane, server: WebhookServer) -> dict[str, Any]:
    """Install manifests/base; the webhook's configuration, for repair."""
    return install(cluster, server)


@pytest.fixture
def check(cluster: ControlPlane, installation: dict[str, Any]) -> Check:
    """Check that installation."""
    assert installation
    return check_of(cluster)


# --- the controller ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Give the controller's ServiceAccount the rights of the manifests."""
    return ship(cluster, tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def free_lease(cluster: ControlPlane, shipped: Account) -> None:
    """Take away what an earlier leader left, so that nobody waits for its end."""
    answer = cluster.request("DELETE", f"{LEASES}/{shipped.namespace}/leases/{NAME}")
    assert answer.code in (200, 404), answer.message


@pytest.fixture
def controller(shipped: Account, tmp_path: Path, free_lease: None) -> Iterator[Controller]:
    """Run one that leads. It may fail at nothing and must end in order."""
    assert free_lease is None
    running = Controller(shipped, tmp_path / "controller.log")
    with started(running):
        until(APPEAR_SECONDS, "it leads", running.leads)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.metric("reconciles_total", "error") == 0, running.log.read_text()
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()


@pytest.fixture(scope="module")
def sharing(
    cluster: ControlPlane, shipped: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sharing]:
    """Share a controller; a module whose tests start others themselves stops it before."""
    made = Sharing(cluster, shipped, tmp_path_factory.mktemp("controllers"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def shared_controller(sharing: Sharing) -> Iterator[SharedController]:
    """Run one that leads and has nothing to do, which the tests of a module share. It may fail at nothing."""
    running = sharing.begin()
    yield running
    assert running.program.status is None, running.program.failure("it ended by itself")
    assert running.metric("reconciles_total", "error") == 0, running.log.read_text()
    assert running.metric("events_total", "failed") == 0, running.log.read_text()
    running.lines()


@pytest.fixture
def line(cluster: ControlPlane) -> Iterator[Line]:
    """Let requests to the API server pass over a line that can be cut."""
    made = Line(cluster.url)
    yield made
    made.close()


@pytest.fixture
def answers(cluster: ControlPlane) -> Iterator[Answers]:
    """Let answers of the API server pass through a relay that can hold them."""
    made = Answers(cluster)
    yield made
    made.close()


# --- repair ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repair_overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An overlay as the README has it: the base, and the component."""
    folder = tmp_path_factory.mktemp("repository") / "manifests"
    shutil.copytree(ROOT / "manifests", folder)
    overlay = folder / "overlays" / "mine"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        json.dumps({"resources": ["../../base"], "components": ["../../components/repair"]})
    )
    return overlay


@pytest.fixture
def may_evict(cluster: ControlPlane, shipped: Account, repair_overlay: Path) -> Iterator[None]:
    """Give the controller the component's rights, and take them away again."""
    given = [o for o in rendered(cluster, repair_overlay) if o["metadata"]["name"] == COMPONENT]
    assert [o["kind"] for o in given] == ["ClusterRole", "ClusterRoleBinding"]
    assert apply_strictly(cluster, given) == []
    until(FOUND_SECONDS, "the right is in force", lambda: can_evict(cluster, shipped))
    yield
    for plural in ("clusterroles", "clusterrolebindings"):
        assert cluster.request("DELETE", f"{RBAC}/{plural}/{COMPONENT}").code == 200
    until(FOUND_SECONDS, "the right is gone", lambda: not can_evict(cluster, shipped))
