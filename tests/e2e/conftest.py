"""The webhook and the demo, installed on the cluster that KUBECONFIG names, and taken away again.

    WEBHOOK_IMAGE=... DEMO_IMAGE=... MEMBER_IMAGE=... pytest tests/e2e -m e2e [--keep]

Without `-m e2e` nothing here runs. What a person would look at is collected and printed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections import UserList
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.e2e.bystander import KEPT_OUT, knock
from tests.e2e.http_client import Entrance, api_proxy, front_door
from tests.e2e.kubectl import Kubectl, KubectlError, agree_on, until
from tests.e2e.replicas import DEMO_PODS, REPLICAS, scale
from tests.e2e.workloads import DEMO, DENY_ALL, first_pod, idle_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "e2e"

INJECTOR = "hazelcast-sidecar-injector"
CONTROLLER = "hazelcast-sidecar-controller"
# Until an annotated Pod is injected: the images are there, and everything starts at once.
INSTALL_SECONDS = 120
# Until a NetworkPolicy is enforced, where it is.
ENFORCED_SECONDS = 20
# Marks what a run made, so that the next one may remove what --keep or a crash left, and nothing else.
OURS = "hazelcast-sidecar-e2e"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="e2e: leave what was installed on the cluster")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only `-m e2e` may touch the cluster that somebody's KUBECONFIG happens to name."""
    if "e2e" in config.option.markexpr:
        return
    mine = [item for item in items if item.get_closest_marker("e2e")]
    if mine:
        items[:] = [item for item in items if item not in mine]
        config.hook.pytest_deselected(items=mine)


class Sightings(UserList[tuple[str, str]]):
    """What was seen on the cluster: a heading and the text as kubectl or curl show it."""

    def note(self, heading: str, text: str) -> None:
        """Keep it for the end of the run."""
        self.append((heading, text.strip()))


SIGHTINGS = pytest.StashKey[Sightings]()


@pytest.fixture(scope="session")
def sightings(pytestconfig: pytest.Config) -> Sightings:
    return pytestconfig.stash.setdefault(SIGHTINGS, Sightings())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    seen = config.stash.get(SIGHTINGS, None)
    if seen:
        terminalreporter.section("seen on the cluster")
        for heading, text in seen:
            terminalreporter.write_line(f"--- {heading}")
            terminalreporter.write_line(text)


class Images(NamedTuple):
    """The images under test, as the cluster knows them."""

    webhook: str
    demo: str
    member: str


IMAGE_VARIABLES = ("WEBHOOK_IMAGE", "DEMO_IMAGE", "MEMBER_IMAGE")
"""Which name them, in the same order."""


@pytest.fixture(scope="session")
def images() -> Images:
    given = [os.environ.get(name, "") for name in IMAGE_VARIABLES]
    if not all(given):
        pytest.exit(
            f"{', '.join(IMAGE_VARIABLES)} name the images to test; all must be set, and be in the cluster "
            "or in its registry",
            returncode=2,
        )
    return Images(*given)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, images: Images, sightings: Sightings) -> Iterator[Kubectl]:
    """A cluster that nobody else's injector is on; at the end everything of ours is gone."""
    sightings.note("images", "\n".join(images))
    kubectl = Kubectl("default")
    if shutil.which("kubectl") is None:
        pytest.exit("kubectl is not on PATH", returncode=2)
    try:
        version = kubectl("version", seconds=20)
    except KubectlError as error:
        pytest.exit(f"no cluster answers; KUBECONFIG names the one to use: {error}", returncode=2)
    sightings.note("kubectl version", version)
    refuse_foreign_installation(kubectl)
    clean_up(kubectl)
    shutil.rmtree(BUILD, ignore_errors=True)
    try:
        yield kubectl
    finally:
        if not request.config.getoption("--keep", default=False):
            started = time.monotonic()
            clean_up(kubectl)
            sightings.note("cleaned up", f"after {time.monotonic() - started:.0f} s")


def refuse_foreign_installation(kubectl: Kubectl) -> None:
    """Never replace, and then remove, an injector that somebody uses."""
    for namespace in kubectl.read("namespaces", f"--selector=!{OURS}")["items"]:
        name = namespace["metadata"]["name"]
        if name in (INJECTOR, DEMO):
            pytest.exit(
                f"the namespace {name} is on this cluster already and was not made "
                "by an earlier run; these tests install and remove it: use another cluster, or delete it",
                returncode=2,
            )


def clean_up(kubectl: Kubectl) -> None:
    """Remove the configuration first: without its server it would refuse every annotated Pod."""
    kubectl("delete", f"mutatingwebhookconfiguration/{INJECTOR}", "--ignore-not-found")
    for kind in ("clusterrolebinding", "clusterrole"):
        kubectl("delete", f"{kind}/{CONTROLLER}", "--ignore-not-found")
    kubectl("delete", "namespace", f"--selector={OURS}", "--wait", seconds=300)


def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Keep what explains a failure: the namespaces of a test go with it."""
    if node.get_closest_marker("e2e"):
        with contextlib.suppress(KubectlError):
            save_logs(BUILD / "logs", re.sub(r"\W+", "-", node.name))


def save_logs(folder: Path, test: str) -> None:
    """Write what Pods of these tests say, and what is said of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for namespace in Kubectl("default").read("namespaces", f"--selector={OURS}")["items"]:
        kubectl = Kubectl(namespace["metadata"]["name"])
        wanted = {"pods.txt": ("describe", "pods"), "events.txt": ("events",)}
        for pod in kubectl.read("pods")["items"]:
            name = pod["metadata"]["name"]
            wanted[f"{name}.log"] = ("logs", name, "--all-containers", "--prefix", "--tail=200")
        for file, command in wanted.items():
            try:
                shown = kubectl(*command)
            except KubectlError as error:
                shown = str(error)
            (folder / f"{test}-{kubectl.namespace}-{file}").write_text(shown)


def rendered(kubectl: Kubectl, source: str, image: str, *components: str) -> list[dict[str, Any]]:
    """A folder of manifests/ as kustomize renders it, with another image and the mark of this run."""
    folder = BUILD / "-".join((source, *components))
    folder.mkdir(parents=True)
    manifests = os.path.relpath(ROOT / "manifests", folder)
    replace_image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    kustomization = {
        "resources": [f"{manifests}/{source}"],
        "components": [f"{manifests}/components/{component}" for component in components],
        "patches": [
            {
                "target": {"kind": "Deployment"},
                "patch": yaml.safe_dump(replace_image),
            },
            {
                "target": {"kind": "Namespace"},
                "patch": yaml.safe_dump([{"op": "add", "path": f"/metadata/labels/{OURS}", "value": "yes"}]),
            },
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))


@pytest.fixture(scope="session")
def webhook_manifests(cluster: Kubectl, images: Images) -> list[dict[str, Any]]:
    return rendered(cluster, "base", images.webhook)


@pytest.fixture(scope="session")
def demo_manifests(cluster: Kubectl, images: Images) -> list[dict[str, Any]]:
    return rendered(cluster, "demo", images.demo)


@pytest.fixture(scope="session")
def webhook(
    webhook_manifests: list[dict[str, Any]], demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> Iterator[Kubectl]:
    """The webhook and the controller, installed and at work; kubectl in their namespace."""
    kubectl = Kubectl(INJECTOR)
    application = Kubectl(DEMO)
    application.apply(*(d for d in demo_manifests if d["kind"] != "Deployment"))
    pod = first_pod(demo_manifests)
    started = time.monotonic()
    kubectl.apply(*webhook_manifests)
    refused = wait_for_injection(application, pod)
    injected = time.monotonic()
    pods_run = started_running(kubectl)
    sightings.note(
        "clean install to first successful injection",
        f"{injected - started:.1f} s after kubectl apply, {time.time() - pods_run:.1f} s after the Pods ran\n"
        f"the last refusal before it: {refused.split(': ', 1)[-1]}",
    )
    for deployment in (INJECTOR, CONTROLLER):
        kubectl.rolled_out(f"deployment/{deployment}")
        sightings.note(
            f"{deployment} is rolled out", f"{time.monotonic() - started:.1f} s after kubectl apply"
        )
    yield kubectl
    sightings.note(f"kubectl -n {INJECTOR} get pods, at the end", kubectl("get", "pods"))


def wait_for_injection(application: Kubectl, pod: dict[str, Any]) -> str:
    """Wait until the webhook injects this Pod, in a dry run; the last refusal before that.

    Raises:
        AssertionError: it was not in time; the message is the last refusal.
    """
    refused = ""
    end = time.monotonic() + INSTALL_SECONDS
    while True:
        try:
            # The API server takes up a configuration a moment after it is stored: till then nothing is added.
            if "initContainers" in json.loads(application.dry_run(pod))["spec"]:
                return refused
        except KubectlError as error:  # no certificate, or no server yet: failurePolicy is Fail
            refused = str(error)
        assert time.monotonic() < end, refused
        time.sleep(0.2)


def started_running(kubectl: Kubectl) -> float:
    """When the first of the webhook's containers started, in seconds since 1970."""
    starts = [
        datetime.fromisoformat(status["state"]["running"]["startedAt"]).timestamp()
        for pod in kubectl.read("pods", "--selector=app.kubernetes.io/component=webhook")["items"]
        for status in pod["status"].get("containerStatuses", [])
        if "running" in status["state"]
    ]
    return min(starts)


@pytest.fixture(scope="session")
def demo(webhook: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings) -> Kubectl:
    """The demo application, each replica with its member; kubectl in its namespace."""
    assert webhook
    kubectl = Kubectl(DEMO)
    started = time.monotonic()
    kubectl.apply(*demo_manifests)
    kubectl.rolled_out("deployment/demo")
    ready = time.monotonic() - started
    agree_on(kubectl, DEMO_PODS, "hazelcast", 2)
    sightings.note(
        "the demo",
        f"rolled out {ready:.1f} s after kubectl apply, both members in one cluster "
        f"after {time.monotonic() - started:.1f} s",
    )
    return kubectl


@pytest.fixture(scope="module")
def door_of_three(demo: Kubectl) -> Iterator[Entrance]:
    """The way to the demo of three replicas; afterwards it has two again."""
    with api_proxy(demo) as api:
        scale(demo, REPLICAS)
        yield front_door(demo, "demo", api)
        scale(demo, 2)


@contextlib.contextmanager
def namespace(name: str) -> Iterator[Kubectl]:
    """A namespace with nothing in it, for as long as a test takes."""
    kubectl = Kubectl(name)
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, f"{OURS}=yes")
    yield kubectl
    kubectl("delete", "namespace", name, "--wait=false")
    # Members that all end at once wait for each other, for entries that nothing asks for any more.
    kubectl("delete", "pods", "--all", "--force", "--grace-period=0", seconds=120)
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait", seconds=180)


@pytest.fixture(scope="session")
def two_nodes(cluster: Kubectl) -> list[str]:
    """Two nodes that take Pods; on a smaller cluster what needs them is skipped."""
    names = [
        node["metadata"]["name"]
        for node in cluster.read("nodes")["items"]
        if not node["spec"].get("unschedulable") and not node["spec"].get("taints")
    ]
    if len(names) < 2:
        pytest.skip(f"needs two nodes that take Pods; this cluster has {len(names)}")
    return names[:2]


@pytest.fixture(scope="session")
def enforced(cluster: Kubectl, demo_manifests: list[dict[str, Any]]) -> None:
    """A network that enforces NetworkPolicies; on another one what needs that is skipped."""
    assert cluster
    server = idle_pod(demo_manifests, "server")
    server["spec"]["containers"][0]["command"] = ["python", "-m", "http.server", "8000"]
    with namespace("hazelcast-enforced") as kubectl:
        kubectl.apply(server, idle_pod(demo_manifests, "client"))
        kubectl.pods_ready("server", "client")
        address = kubectl.read("pod", "server")["status"]["podIP"]
        until(30, "a port is open", lambda: knock(kubectl, "client", address, 8000)[8000] not in KEPT_OUT)
        kubectl.apply(DENY_ALL)
        end = time.monotonic() + ENFORCED_SECONDS
        while knock(kubectl, "client", address, 8000)[8000] not in KEPT_OUT:
            if time.monotonic() > end:
                pytest.skip(f"NetworkPolicies are not enforced here (not within {ENFORCED_SECONDS} s)")
            time.sleep(0.5)
