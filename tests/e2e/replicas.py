"""The demo's replicas: how many there are, that all agree, and traffic while something happens to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.kubectl import agree_on, until
from tests.e2e.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Sightings
    from tests.e2e.http_client import Entrance
    from tests.e2e.kubectl import Kubectl

DEMO_PODS = "app.kubernetes.io/name=demo"
ENTRIES = 800
REPLICAS = 3


def scale(demo: Kubectl, replicas: int) -> None:
    """Scale, and wait until nothing changes any more."""
    demo("scale", "deployment/demo", f"--replicas={replicas}")
    settle(demo, replicas)


def settle(demo: Kubectl, replicas: int = REPLICAS) -> None:
    """Wait until the Pods are ready, those that leave have left, and all members agree."""
    demo.rolled_out("deployment/demo", seconds=300)

    def settled() -> bool:
        table = demo.ready(DEMO_PODS).splitlines()
        return [line.split()[1] for line in table] == ["2/2"] * replicas

    until(240, f"{replicas} Pods and no others, all 2/2", settled)
    agree_on(demo, DEMO_PODS, "hazelcast", replicas)
    agree_on(demo, DEMO_PODS, "app", replicas)


def rollout_restart(demo: Kubectl) -> None:
    """`kubectl rollout restart`."""
    demo("rollout", "restart", "deployment/demo")
    settle(demo)


def deleted_pod(demo: Kubectl, *options: str) -> None:
    """`kubectl delete pod`."""
    demo("delete", "pod", demo.pods(DEMO_PODS)[0], *options, seconds=120)
    settle(demo)


def scaling(demo: Kubectl) -> None:
    """Two more replicas at once, and both away again at once."""
    scale(demo, REPLICAS + 2)
    scale(demo, REPLICAS)


def deleted_pod_by_force(demo: Kubectl) -> None:
    """`kubectl delete pod --force`: nobody says good-bye."""
    deleted_pod(demo, "--force", "--grace-period=0")


class Outcome(NamedTuple):
    """What became of the traffic while something happened."""

    traffic: Traffic
    lost: int
    """Acknowledged entries that are not there afterwards, or have another value."""


def under_traffic(
    event: Callable[[Kubectl], None], demo: Kubectl, door: Entrance, sightings: Sightings
) -> Outcome:
    """Let it happen under traffic, and read what was acknowledged again."""
    traffic = Traffic(door)
    traffic.fill(ENTRIES)
    assert len(traffic.acknowledged) == ENTRIES, traffic.summary()
    started = time.monotonic()
    with traffic:
        event(demo)
    took = time.monotonic() - started
    lost = len(traffic.lost())
    summary = f"{traffic.summary()}; {lost} lost, {len(traffic.wrong)} read wrong; {took:.0f} s"
    sightings.note(f"traffic through: {event.__name__.replace('_', ' ')}", summary)
    assert len(traffic.acknowledged) > ENTRIES, "puts went on"
    return Outcome(traffic, lost)


def went_through(
    event: Callable[[Kubectl], None], demo: Kubectl, door: Entrance, sightings: Sightings
) -> None:
    """Let it happen under traffic; every entry that was acknowledged must be there afterwards."""
    traffic, lost = under_traffic(event, demo, door, sightings)
    assert lost == 0
    assert traffic.wrong == {}
