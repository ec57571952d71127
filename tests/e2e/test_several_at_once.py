"""Ten members with 200 MiB each, of which machines end several at once: what is lost, what fails.

Members that end in an orderly way hand over, also several at once; all of them at once have nobody to.
`hazelcast-sidecar check` warns of each of these before it happens. A table of what was seen is printed.

The members' image is the one that is built here: those of the stock image are held up by two faults of
Hazelcast where so many start and end on a busy machine (docs/reliability.md).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.endings import SIGKILL, Endings
from tests.e2e.loaded_cluster import VALUE_BYTES, Cluster, loaded_cluster
from tests.e2e.replicas import DEMO_PODS, Outcome, scale, settle, under_traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

REPLICAS = 10
MIB_EACH = 200
"""Of entries and of backups, as much of the one as of the other."""
ENTRIES = REPLICAS * MIB_EACH * 2**20 // 2 // VALUE_BYTES
NODES = 3

MEMBERS = {
    # In a rollout up to twenty are there at once, those that end counted: all have to fit into 16 GiB.
    "memory-limit": "1Gi",
    "heap-percentage": "60",
    "memory-request": "256Mi",
    # As several hand over at once, here on the same processors.
    "shutdown-timeout": "180s",
    # Nothing keeps a drained node from ending all of its Pods at once.
    "disruption-budget": "false",
}
COLUMNS = (
    f"ten replicas, {MIB_EACH} MiB in each member",
    "Pods ended",
    "members killed",
    "entries of 100 KiB",
    "lost",
    "traffic acknowledged",
    "lost",
    "failed",
    "longest put, get s",
    "a member ended after its application, at most s",
)


@pytest.fixture(scope="module")
def ten(
    webhook: Kubectl, images: Images, demo_manifests: list[dict[str, Any]], sightings: Sightings
) -> Iterator[tuple[Cluster, list[str]]]:
    """The cluster, and the rows of the table."""
    assert webhook
    rows: list[str] = []
    members = {**MEMBERS, "image": images.member}
    with loaded_cluster(demo_manifests, "hazelcast-several", REPLICAS, members) as cluster:
        yield cluster._replace(entries=ENTRIES), rows
    lines = [row(*COLUMNS), "|---" * len(COLUMNS) + "|", *rows]
    sightings.note("several members at once", "\n".join(lines))


def row(*cells: object) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def half(demo: Kubectl) -> None:
    """Scale from ten to five, as an autoscaler does with a policy of 50 %, and by default."""
    scale(demo, REPLICAS // 2)


def rollout_by_default(demo: Kubectl) -> None:
    """`kubectl rollout restart` with maxUnavailable and maxSurge of 25 %."""
    replace_pods(
        demo, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    )


def recreate(demo: Kubectl) -> None:
    """`kubectl rollout restart` with the strategy Recreate."""
    replace_pods(demo, {"type": "Recreate", "rollingUpdate": None})


def replace_pods(demo: Kubectl, strategy: dict[str, Any]) -> None:
    demo("patch", "deployment/demo", f"--patch={json.dumps({'spec': {'strategy': strategy}})}")
    demo("rollout", "restart", "deployment/demo")
    settle(demo, REPLICAS)


def drained_node(demo: Kubectl) -> None:
    """`kubectl drain` of the node with the most Pods."""
    pods = demo.read("pods", f"--selector={DEMO_PODS}")["items"]
    ((node, _),) = Counter(pod["spec"]["nodeName"] for pod in pods).most_common(1)
    options = ("--delete-emptydir-data", f"--pod-selector={DEMO_PODS}")
    try:
        demo("drain", node, *options, seconds=300)
        settle(demo, REPLICAS)
    finally:
        demo("uncordon", node)


def measured(
    event: Callable[[Kubectl], None], ten: tuple[Cluster, list[str]], sightings: Sightings
) -> tuple[Outcome, dict[str, Any]]:
    """Fill ten members, let it happen under traffic, and read all entries again; a row of the table."""
    cluster, rows = ten
    if len(cluster.kubectl.pods(DEMO_PODS)) != REPLICAS:
        scale(cluster.kubectl, REPLICAS)
    cluster.load("fill")
    with Endings(cluster.kubectl, DEMO_PODS) as endings:
        outcome = under_traffic(event, cluster.kubectl, cluster.door, sightings)
    checked = cluster.load("check")
    traffic, lost = outcome
    rows.append(
        row(
            (event.__doc__ or "").rstrip("."),
            len(endings.seen),
            sum(end.code == SIGKILL for end in endings.seen),
            checked["done"],
            checked["missing"] + checked["wrong"],
            len(traffic.acknowledged),
            lost,
            traffic.refused.total(),
            ", ".join(f"{traffic.longest[kind]:.1f}" for kind in ("put", "get")),
            max((end.member - end.application for end in endings.seen), default=0),
        )
    )
    return outcome, checked


@pytest.mark.parametrize(
    "event", [half, rollout_by_default, drained_node], ids=lambda event: event.__name__.replace("_", " ")
)
def test_members_that_end_in_order_hand_over_also_several_at_once(
    ten: tuple[Cluster, list[str]], sightings: Sightings, event: Callable[[Kubectl], None]
) -> None:
    nodes = ten[0].kubectl.read("nodes")["items"]
    if event is drained_node and len(nodes) < NODES:
        pytest.skip(f"it drains one of {NODES} nodes, and there are {len(nodes)}")
    outcome, checked = measured(event, ten, sightings)
    assert (checked["done"], checked["missing"], checked["wrong"]) == (ENTRIES, 0, 0)
    assert (outcome.lost, outcome.traffic.wrong) == (0, {})


def test_all_members_at_once_lose_everything(ten: tuple[Cluster, list[str]], sightings: Sightings) -> None:
    """Which is why `check` and the webhook warn of it, and why the next rollout begins with an empty map."""
    _, checked = measured(recreate, ten, sightings)
    assert checked["missing"] == checked["done"] == ENTRIES
