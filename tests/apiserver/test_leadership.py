"""Leader election between controllers, and an API server that comes and goes."""

import signal
import time
from collections.abc import Callable, Iterator
from os import kill
from pathlib import Path

import pytest

from tests.harness.accounts import NAME, Account
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASE_SECONDS, LEASES, Controller, started
from tests.harness.group_pods import create_pod
from tests.harness.kept_objects import is_as_rendered, kinds_found, path_of, wait_for, wanted
from tests.harness.shipped_manifests import OWN_NAMESPACE
from tests.harness.waiting import APPEAR_SECONDS, SETTLE_SECONDS, until

pytestmark = pytest.mark.apiserver


@pytest.fixture
def pair(shipped: Account, tmp_path: Path, free_lease: None) -> Iterator[tuple[Controller, Controller]]:
    """Run two replicas; the first of the pair leads."""
    assert free_lease is None
    both = [Controller(shipped, tmp_path / f"{name}.log", name) for name in ("one", "two")]
    with started(*both):
        until(APPEAR_SECONDS, "one of them leads", lambda: any(c.leads() for c in both))
        leader, other = sorted(both, key=lambda c: not c.leads())
        yield leader, other


def test_the_other_takes_over_when_the_leader_is_killed(
    cluster: ControlPlane,
    pair: tuple[Controller, Controller],
    namespace: str,
    say: Callable[[str], None],
) -> None:
    leader, other = pair
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    time.sleep(SETTLE_SECONDS)
    assert not other.leads()
    assert other.metric("reconciles_total") == 0, "one that does not lead changes nothing"
    lease = cluster.request("GET", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").document["spec"]
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == (leader.identity, LEASE_SECONDS)

    leader.program.kill()
    killed = time.monotonic()
    create_pod(cluster, namespace, "between", "between")
    path = path_of("ConfigMap", namespace, "before")
    assert cluster.request("DELETE", path).code == 200
    assert kinds_found(cluster, namespace, "between") == []
    until(APPEAR_SECONDS, "the other leads", other.leads)
    leads = time.monotonic() - killed
    for group in ("between", "before"):
        wait_for(cluster, wanted(namespace, group, "dns"), group)
    say(f"leader killed: the other leads after {leads:.1f} s, all in order {time.monotonic() - killed:.1f} s")


def test_the_other_takes_over_at_once_when_the_leader_is_stopped(
    pair: tuple[Controller, Controller], cluster: ControlPlane, say: Callable[[str], None]
) -> None:
    """A rollout of the controller leaves no time without a leader: who stops gives the Lease back."""
    leader, other = pair
    path = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
    assert leader.program.stop() == 0
    lease = cluster.request("GET", path).document["spec"]
    assert lease.get("holderIdentity", other.identity) == other.identity
    stopped = time.monotonic()
    until(APPEAR_SECONDS, "the other leads", other.leads)
    say(f"leader stopped: the other leads {time.monotonic() - stopped:.1f} s after")
    lease = cluster.request("GET", path).document["spec"]
    assert lease["holderIdentity"] == other.identity

    assert other.program.stop() == 0
    assert "holderIdentity" not in cluster.request("GET", path).document["spec"]


def test_one_that_does_not_lead_leaves_the_lease_alone(
    pair: tuple[Controller, Controller], cluster: ControlPlane
) -> None:
    leader, other = pair
    assert other.program.stop() == 0
    lease = cluster.request("GET", f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}").document["spec"]
    assert lease["holderIdentity"] == leader.identity


def test_a_leader_that_finds_the_lease_in_other_hands_stops_at_once(
    cluster: ControlPlane, shipped: Account, tmp_path: Path, free_lease: None
) -> None:
    """Its time to renew would be two thirds of a lease, in which two would lead."""
    assert free_lease is None
    lease_seconds = 15
    leader = Controller(shipped, tmp_path / "one.log", "one", ["--lease-seconds", str(lease_seconds)])
    with started(leader):
        until(LEASE_SECONDS, "it leads", leader.leads)
        path = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
        taken = {"spec": {"holderIdentity": "somebody"}}
        assert cluster.request("PATCH", path, taken, MERGE).code == 200
        until(lease_seconds / 3, "it knows", lambda: not leader.leads())
        # It asks for the Lease once more before it says so: one of its own would be given back.
        until(lease_seconds, "it says so", lambda: len(leader.said("not leading")) == 1)
        assert "held by somebody" in leader.said("not leading")[0]["error"]


@pytest.mark.slow
def test_a_leader_that_was_frozen_does_not_go_on_leading(
    cluster: ControlPlane,
    pair: tuple[Controller, Controller],
    namespace: str,
    say: Callable[[str], None],
) -> None:
    """A suspended machine believes that no time has passed."""
    leader, other = pair
    kill(leader.program.pid, signal.SIGSTOP)
    try:
        until(APPEAR_SECONDS, "the other leads", other.leads)
    finally:
        kill(leader.program.pid, signal.SIGCONT)
    knows = until(LEASE_SECONDS, "the one that was frozen knows", lambda: not leader.leads())
    say(f"a leader that was frozen goes on leading for {knows:.1f} s")
    assert other.leads()
    assert leader.is_ready()
    create_pod(cluster, namespace, "shop-1", "shop")
    wait_for(cluster, wanted(namespace, "shop", "dns"), "shop")


@pytest.mark.slow
def test_it_survives_a_restart_of_the_api_server(
    cluster: ControlPlane,
    controller: Controller,
    namespace: str,
    say: Callable[[str], None],
) -> None:
    """After it the resource versions that a watch would resume from are gone: the answer is 410."""
    create_pod(cluster, namespace, "before", "before")
    wait_for(cluster, wanted(namespace, "before", "dns"), "before")
    restarts = controller.metric("watch_restarts_total")
    began = time.monotonic()
    cluster.stop_apiserver()
    try:
        time.sleep(2)
        assert controller.is_alive(), "the kubelet must not kill it for what it cannot help"
    finally:
        cluster.start_apiserver()
    back = time.monotonic()
    create_pod(cluster, namespace, "after", "after")
    path = path_of("ConfigMap", namespace, "before")
    assert cluster.request("DELETE", path).code == 200
    # Pods and ConfigMaps are watched apart, and each comes back by its own back-off.
    for group in ("after", "before"):
        objects = wanted(namespace, group, "dns")
        until(30, f"{group} is reconciled", lambda: is_as_rendered(cluster, objects, group))  # noqa: B023
    say(f"API server away for {back - began:.1f} s: reconciled {time.monotonic() - back:.1f} s after")
    assert controller.metric("watch_restarts_total") > restarts
    assert controller.is_ready()

    create_pod(cluster, namespace, "later", "later")
    wait_for(cluster, wanted(namespace, "later", "dns"), "later")
