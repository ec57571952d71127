"""Where the backups of entries are: two of three members are lost at the same moment."""

import signal

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.conftest import Eventually, Launcher, Program

pytestmark = pytest.mark.hazelcast

ENTRIES = 300
PORT = 5731


def network(number: int) -> list[str]:
    """Three addresses that no other test here has."""
    return [f"{own_network()}.{number + position}" for position in range(3)]


def found(app: Program) -> int:
    return sum(app.ask("/get", key=f"k{number}").text == f"v{number}" for number in range(ENTRIES))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "number", "survive"),
    [
        pytest.param({}, 51, "some", id="any"),
        pytest.param({"backups": "node"}, 61, "all", id="node"),
        pytest.param({"backup_count": "2"}, 71, "all", id="two backups"),
    ],
)
def test_two_members_of_one_node_are_lost_at_once(
    launcher: Launcher, eventually: Eventually, given: dict[str, str], number: int, survive: str
) -> None:
    """Without `backups` a third of the entries has owner and backup on these two."""
    group = network(number)
    annotations = {"port": str(PORT), "cluster_name": str(number), **given}
    members = [
        launcher.member(address, group=group, given=annotations, place=place)
        for address, place in zip(group, ("one", "one", "other"), strict=True)
    ]
    survivor = group[2]
    app = launcher.app(
        survivor,
        HAZELCAST_ADDRESS=f"{survivor}:{PORT}",
        HAZELCAST_CLUSTER_NAME=str(number),
        HAZELCAST_SMART_ROUTING="false",
    )
    for member in members:
        eventually(lambda member=member: "Members {size:3," in member.log.read_text(), 120)
    eventually(lambda: len(app.members()) == 3, 120)
    for each in range(ENTRIES):
        assert app.ask("/put", key=f"k{each}", value=f"v{each}").status == 200
    assert found(app) == ENTRIES

    for member in members[:2]:
        member.popen.send_signal(signal.SIGKILL)
    eventually(lambda: len(app.members()) == 1, 120)
    left = found(app)
    assert {"some": 0 < left < ENTRIES, "all": left == ENTRIES}[survive], left
