"""The injector taken off the cluster, while Pods with members run: nothing blocks, and they go on.

It runs last, for it ends what the other tests use.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.commands import make_uninstall
from tests.e2e.conftest import CONTROLLER, INJECTOR, INSTALL_SECONDS
from tests.e2e.kubectl import Kubectl, KubectlError, until
from tests.e2e.replicas import DEMO_PODS
from tests.e2e.workloads import first_pod

if TYPE_CHECKING:
    from tests.e2e.conftest import Sightings

pytestmark = pytest.mark.e2e

CONFIGURATION = f"mutatingwebhookconfiguration/{INJECTOR}"
COLLECTED_SECONDS = 180
"""The namespace has to be empty first; then the garbage collector looks."""


def is_there(kubectl: Kubectl, name: str) -> bool:
    return bool(kubectl("get", name, "--ignore-not-found", "--output=name").strip())


def uids(demo: Kubectl) -> dict[str, str]:
    """The demo's Pods, and which ones they are."""
    pods = demo.read("pods", f"--selector={DEMO_PODS}")["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}


def stored_without_member(demo: Kubectl, pod: dict[str, Any]) -> bool:
    """Whether an annotated Pod may be created, and stays as it is; KubectlError while it is refused."""
    return "initContainers" not in json.loads(demo.dry_run(pod))["spec"]


def expect_nothing_blocks(demo: Kubectl, pod: dict[str, Any], before: dict[str, str]) -> None:
    # API servers learn of a configuration that has gone a moment later.
    until(30, "an annotated Pod is created without a member", lambda: stored_without_member(demo, pod))
    assert uids(demo) == before, "members and applications go on"
    table = demo.ready(DEMO_PODS)
    assert [line.split()[1] for line in table.splitlines()] == ["2/2", "2/2"]


def test_the_configuration_is_collected_with_the_namespace(
    demo: Kubectl, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    """Somebody deletes the namespace and nothing else, which leaves the webhook's configuration alone."""
    kubectl = Kubectl("default")
    namespace = kubectl.read(f"namespace/{INJECTOR}")["metadata"]
    (owner,) = kubectl.read(CONFIGURATION)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Namespace", namespace["uid"])
    before = uids(demo)

    begun = time.monotonic()
    kubectl("delete", "namespace", INJECTOR, "--wait", seconds=180)
    gone = time.monotonic() - begun
    until(COLLECTED_SECONDS, "the configuration is collected", lambda: not is_there(kubectl, CONFIGURATION))
    sightings.note(
        f"kubectl delete namespace {INJECTOR}",
        f"gone after {gone:.1f} s, the configuration after {time.monotonic() - begun:.1f} s",
    )
    expect_nothing_blocks(demo, first_pod(demo_manifests), before)


def test_make_uninstall(
    demo: Kubectl,
    webhook_manifests: list[dict[str, Any]],
    demo_manifests: list[dict[str, Any]],
    sightings: Sightings,
) -> None:
    """After an installation anew, which also shows that nothing stood in its way."""
    kubectl = Kubectl(INJECTOR)
    pod = first_pod(demo_manifests)
    kubectl.apply(*webhook_manifests)
    until(INSTALL_SECONDS, "Pods get a member", lambda: not stored_without_member(demo, pod))
    before = uids(demo)

    shown = make_uninstall()
    sightings.note("make uninstall", shown)
    for name in (CONFIGURATION, f"namespace/{INJECTOR}", f"clusterrole/{CONTROLLER}"):
        assert not is_there(kubectl, name)
    assert not is_there(kubectl, f"clusterrolebinding/{CONTROLLER}")
    expect_nothing_blocks(demo, pod, before)

    make_uninstall()
    with pytest.raises(KubectlError, match="not found"):
        kubectl("get", f"namespace/{INJECTOR}")
