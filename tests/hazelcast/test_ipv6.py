"""Members in Pods with nothing but IPv6, and 127.0.0.1."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from hazelcast_sidecar.demo.java import find_java, member_jars
from tests.harness.pod_networks import NEEDS, listening, pod_networks
from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow, NEEDS]

FIRST, SECOND = ADDRESSES = ("fd57:1::1", "fd57:1::2")


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start each member in its network."""
    with pod_networks(*(f"{address}/64" for address in ADDRESSES)) as within:
        launcher = Launcher(tmp_path_factory.mktemp("programs"), find_java(), member_jars(), within)
        yield launcher
        launcher.stop()


def answers(pods: Launcher, url: str) -> bool:
    """Whether a member says that it is ready, asked from the first one's network."""
    program = f"import urllib.request; urllib.request.urlopen({url!r} + '/hazelcast/health/ready', timeout=5)"
    command = [*pods.within[FIRST], sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_members_find_each_other_and_their_clients_are_on_127_0_0_1(
    pods: Launcher, eventually: Eventually
) -> None:
    members = [pods.member(each, group=[*ADDRESSES], given={"ip_family": "ipv6"}) for each in ADDRESSES]
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.text())
    for host in ("127.0.0.1", "[::1]", f"[{SECOND}]"):
        assert answers(pods, f"http://{host}:5701"), host
    for member in members:
        member.end()


def test_clients_of_the_pod_alone_are_on_127_0_0_1_and_no_other(
    pods: Launcher, eventually: Eventually
) -> None:
    given = {"ip_family": "ipv6", "clients": "pod"}
    members = [pods.member(each, group=[*ADDRESSES], given=given) for each in ADDRESSES]
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.text())
    assert listening(pods.within[FIRST]) == {"[::ffff:127.0.0.1]:5701", f"[{FIRST}]:5702", f"[{FIRST}]:5703"}
    for member in members:
        member.end()
