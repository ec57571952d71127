"""`hazelcast-sidecar status` on the cluster: by port forward, and with `clients: pod` by the API's proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.commands import group_status, run, sizes_seen
from tests.e2e.conftest import namespace
from tests.e2e.kubectl import until
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e


def test_the_demo_is_one_cluster(demo: Kubectl, sightings: Sightings) -> None:
    until(120, "two members see two", lambda: sizes_seen(demo.namespace, "demo") == [2, 2])
    until(60, "entries are safe", lambda: group_status(demo.namespace, "demo")["observations"] == [])
    shown = run("status", "-A")
    sightings.note("hazelcast-sidecar status -A", shown.stdout + shown.stderr)
    assert shown.returncode == 0
    assert f"{demo.namespace}/demo  one cluster of 2 members, safe" in shown.stdout
    assert [len(pod["view"]["members"]) for pod in group_status(demo.namespace, "demo")["pods"]] == [2, 2]


def test_members_whose_clients_are_in_their_own_pod_are_asked_too(
    demo: Kubectl, images: Images, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> None:
    assert demo
    assert images
    with namespace("hazelcast-status") as kubectl:
        kubectl.apply(with_members(demo_manifests, "shut", 2, clients="pod"))
        until(180, "two members see two", lambda: sizes_seen(kubectl.namespace, "shut") == [2, 2])
        shown = run("status", "-n", kubectl.namespace)
        sightings.note("hazelcast-sidecar status, clients: pod", shown.stdout + shown.stderr)
        assert shown.returncode == 0
