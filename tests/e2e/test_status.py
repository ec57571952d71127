"""`hazelcast-sidecar status` on the cluster: by port forward, and with `clients: pod` by the API's proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import namespace, with_members
from tests.e2e.kubectl import until

if TYPE_CHECKING:
    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hazelcast_sidecar.cli", "status", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def group(space: str, name: str) -> dict[str, Any]:
    """What is said of one group; nothing while there is none."""
    found = json.loads(run("-n", space, name, "-o", "json").stdout)
    return found[0] if found else {"pods": [], "observations": []}


def sizes(space: str, name: str) -> list[int | None]:
    """How many members each Pod's member sees; None of one that does not answer."""
    views = [pod["view"] for pod in group(space, name)["pods"]]
    return [view and view["health"]["clusterSize"] for view in views]


def test_the_demo_is_one_cluster(demo: Kubectl, sightings: Sightings) -> None:
    until(120, "two members see two", lambda: sizes(demo.namespace, "demo") == [2, 2])
    until(60, "entries are safe", lambda: group(demo.namespace, "demo")["observations"] == [])
    shown = run("-A")
    sightings.note("hazelcast-sidecar status -A", shown.stdout + shown.stderr)
    assert shown.returncode == 0
    assert f"{demo.namespace}/demo  one cluster of 2 members, safe" in shown.stdout
    assert [len(pod["view"]["members"]) for pod in group(demo.namespace, "demo")["pods"]] == [2, 2]


def test_members_whose_clients_are_in_their_own_pod_are_asked_too(
    demo: Kubectl, images: Images, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    assert demo
    assert images
    with namespace("hazelcast-status") as kubectl:
        kubectl.apply(with_members(demo_manifests, "shut", 2, clients="pod"))
        until(180, "two members see two", lambda: sizes(kubectl.namespace, "shut") == [2, 2])
        shown = run("-n", kubectl.namespace)
        sightings.note("hazelcast-sidecar status, clients: pod", shown.stdout + shown.stderr)
        assert shown.returncode == 0
