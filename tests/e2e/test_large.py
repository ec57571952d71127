"""A gigabyte of entries in three members, while replicas come and go, and a deaf application.

What was acknowledged is read again to the last byte, by a Pod beside the cluster.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.names import PREFIX
from tests.e2e.endings import SIGKILL, Endings
from tests.e2e.loaded_cluster import VALUE_BYTES, Cluster, loaded_cluster
from tests.e2e.replicas import (
    DEMO_PODS,
    REPLICAS,
    deleted_pod,
    rollout_restart,
    scale,
    settle,
    went_through,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

LARGE = 2**30 // VALUE_BYTES
"""So many entries are a gigabyte, beside as much of backups."""

MEMBERS = {
    "memory-limit": "3Gi",
    "heap-percentage": "60",
    "memory-request": "2Gi",
    "shutdown-timeout": "60s",
}


@pytest.fixture(scope="module")
def cluster_of_three(webhook: Kubectl, demo_manifests: list[dict[str, Any]]) -> Iterator[Cluster]:
    """It has no entries yet."""
    assert webhook
    with loaded_cluster(demo_manifests, "hazelcast-large", REPLICAS, MEMBERS) as cluster:
        yield cluster


def kept_through(event: Callable[[Kubectl], None], cluster: Cluster, sightings: Sightings) -> Endings:
    """Let it happen under traffic; all entries must be there afterwards. How Pods ended."""
    with Endings(cluster.kubectl, DEMO_PODS) as endings:
        went_through(event, cluster.kubectl, cluster.door, sightings)
    sightings.note(f"how Pods ended: {event.__name__.replace('_', ' ')}", str(endings))
    checked = cluster.load("check")
    sightings.note(f"{cluster.entries} entries of {VALUE_BYTES // 1024} KiB afterwards", json.dumps(checked))
    assert checked["done"] == cluster.entries
    assert (checked["missing"], checked["wrong"]) == (0, 0)
    return endings


@pytest.fixture(scope="module")
def large(cluster_of_three: Cluster, sightings: Sightings) -> Cluster:
    """It has a gigabyte of entries."""
    filled = cluster_of_three._replace(entries=LARGE)
    sightings.note(f"{LARGE} entries of {VALUE_BYTES // 1024} KiB put", json.dumps(filled.load("fill")))
    return filled


def one_less(demo: Kubectl) -> None:
    """Scale down by one."""
    scale(demo, REPLICAS - 1)


def test_a_gigabyte_is_kept_by_a_rollout(large: Cluster, sightings: Sightings) -> None:
    before = large.kubectl.pods(DEMO_PODS)
    endings = kept_through(rollout_restart, large, sightings)
    assert not set(before) & set(large.kubectl.pods(DEMO_PODS)), "every Pod was replaced"
    assert len(endings.seen) == REPLICAS
    assert [end for end in endings.seen if end.code == SIGKILL] == [], "each handed over in time"


def test_a_gigabyte_is_kept_by_one_replica_less(large: Cluster, sightings: Sightings) -> None:
    endings = kept_through(one_less, large, sightings)
    assert [end for end in endings.seen if end.code == SIGKILL] == [], "it handed over in time"
    scale(large.kubectl, REPLICAS)


SHELL_FIRST = ["sh", "-c", "python -m app; true"]
"""The usual reason: a shell is the container's first program, ignores SIGTERM, and passes it on to nobody."""
OWN_GRACE, SHUTDOWN_TIMEOUT = 10, 40


@pytest.fixture(scope="module")
def large_and_deaf(large: Cluster) -> Cluster:
    """It has a gigabyte of entries, and from now on an application that uses up every grace period."""
    spec = {
        "terminationGracePeriodSeconds": OWN_GRACE,
        "containers": [{"name": "app", "command": SHELL_FIRST}],
    }
    metadata = {"annotations": {f"{PREFIX}shutdown-timeout": f"{SHUTDOWN_TIMEOUT}s"}}
    patch = {"spec": {"template": {"metadata": metadata, "spec": spec}}}
    large.kubectl("patch", "deployment/demo", f"--patch={json.dumps(patch)}")
    settle(large.kubectl)
    return large


def two_deleted_pods(demo: Kubectl) -> None:
    """`kubectl delete pod` of two at once, of which each may have the only backup of the other's entries."""
    demo("delete", "pod", *demo.pods(DEMO_PODS)[:2], seconds=120)
    settle(demo)


@pytest.mark.parametrize(
    "event",
    [deleted_pod, two_deleted_pods, rollout_restart],
    ids=lambda event: event.__name__.replace("_", " "),
)
def test_a_gigabyte_is_kept_where_the_application_does_not_listen(
    large_and_deaf: Cluster, sightings: Sightings, event: Callable[[Kubectl], None]
) -> None:
    """Each member hands over when its application's own time is over, and ends by itself."""
    endings = kept_through(event, large_and_deaf, sightings)
    assert endings.seen
    for end in endings.seen:
        assert end.application >= OWN_GRACE + SHUTDOWN_TIMEOUT - 1, "it listened"
        assert end.member >= OWN_GRACE - 1, "it did not wait for the application"
        assert end.code != SIGKILL, "it was killed with the application"
