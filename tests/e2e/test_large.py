"""A gigabyte of entries in three members, while replicas come and go, and a deaf application.

What was acknowledged is read again to the last byte, by a Pod beside the cluster.
"""

from __future__ import annotations

import contextlib
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


SHELL_FIRST = ["sh", "-c", "python -m app; true"]
"""The usual reason: a shell is the container's first program, ignores SIGTERM, and passes it on to nobody."""
OWN_GRACE, SHUTDOWN_TIMEOUT = 10, 10


@contextlib.contextmanager
def deaf(cluster: Cluster) -> Iterator[None]:
    """The same replicas with an application that uses up every grace period; afterwards as before."""
    set_up(cluster.kubectl, SHELL_FIRST, OWN_GRACE, f"{SHUTDOWN_TIMEOUT}s")
    yield
    set_up(cluster.kubectl, None, None, MEMBERS["shutdown-timeout"])


def set_up(demo: Kubectl, command: list[str] | None, grace: int | None, timeout: str) -> None:
    """Change how the demo's Pods end; None is the default. Waits until all Pods are such ones."""
    spec = {
        "terminationGracePeriodSeconds": grace,
        "containers": [{"name": "app", "command": command}],
    }
    metadata = {"annotations": {f"{PREFIX}shutdown-timeout": timeout}}
    patch = {"spec": {"template": {"metadata": metadata, "spec": spec}}}
    demo("patch", "deployment/demo", f"--patch={json.dumps(patch)}")
    settle(demo)


def kept_by_the_deaf(cluster: Cluster, sightings: Sightings) -> None:
    with deaf(cluster):
        for event in (deleted_pod, rollout_restart):
            endings = kept_through(event, cluster, sightings)
            assert endings.seen
            assert min(end.application for end in endings.seen) >= OWN_GRACE + SHUTDOWN_TIMEOUT - 1


def test_entries_are_kept_where_the_application_does_not_listen(
    cluster_of_three: Cluster, sightings: Sightings
) -> None:
    kept_by_the_deaf(cluster_of_three, sightings)


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


def test_a_gigabyte_is_kept_where_the_application_does_not_listen(
    large: Cluster, sightings: Sightings
) -> None:
    kept_by_the_deaf(large, sightings)
