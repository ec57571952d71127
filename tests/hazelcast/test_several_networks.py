"""Members in Pods with a second network: others find them at the Pod's own address alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hazelcast_sidecar.demo.java import find_java, member_jars
from tests.harness.pod_networks import NEEDS, listening, pod_networks
from tests.hazelcast.conftest import Eventually, Launcher, from_maven_central
from tests.hazelcast.test_releases import RELEASES, SHA256

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow, NEEDS]

FIRST, SECOND = ADDRESSES = ("10.57.1.1", "10.57.1.2")
ELSEWHERE = "192.168.57.7"


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start each member in its network; both have the other address, too, which leads nowhere."""
    with pod_networks(*(f"{address}/24" for address in ADDRESSES), others=f"{ELSEWHERE}/24") as within:
        launcher = Launcher(tmp_path_factory.mktemp("programs"), find_java(), member_jars(), within)
        yield launcher
        launcher.stop()


@pytest.mark.parametrize("clients", ["any", "pod"])
def test_members_find_each_other(pods: Launcher, eventually: Eventually, clients: str) -> None:
    members = [pods.member(each, group=[*ADDRESSES], given={"clients": clients}) for each in ADDRESSES]
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.text())
        assert f"Member [{ELSEWHERE}]" not in member.text()
    if clients == "pod":
        assert listening(pods.within[FIRST]) == {"127.0.0.1:5701", f"{FIRST}:5702", f"{FIRST}:5703"}
    for member in members:
        member.end()


def test_members_of_the_oldest_release_do_so_too(pods: Launcher, eventually: Eventually) -> None:
    release = RELEASES[0]
    jar = from_maven_central("com.hazelcast", "hazelcast", release, SHA256[release])
    of_release = replace(pods, jars=[jar])
    members = [of_release.member(each, group=[*ADDRESSES], given={"clients": "pod"}) for each in ADDRESSES]
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.text())
        member.end()
