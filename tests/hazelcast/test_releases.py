"""Releases of Hazelcast that the annotation `image` may name: members of each, as they are injected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hazelcast_sidecar.demo.java import find_java
from hazelcast_sidecar.injection.warnings import OLDEST_RELEASE
from tests.harness.ports import free_ports, own_network
from tests.hazelcast.conftest import Eventually, Launcher, from_maven_central

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

SHA256 = {
    "4.2.8": "321c391e41ecb0865b506a926a5d76c7bf93b936ad734458492250541c07c641",
    "5.0.5": "a04edacac477942066b6c86f915b3cdde944b95c570954e965486b240e8e909b",
    "5.3.8": "025449efcb40418e626345d2b6011d8702ca72651b30d655edbd72e5324095f0",
    "5.4.0": "cbcd4de863ee859dd6094fe01752e1bc9986c5240621443fe6609a5e16903f0d",
    "5.5.0": "cf560b40b988526e780e4fae12cb6fe01c5158bb9e00839882857f32b544a19e",
    "5.6.0": "f16e392740b2d64136590bc52a782c8f8e75b5cb8d3ac221c7c09efae0d7871c",
}
"""Of the jars; the other tests run the default image's release."""
TOO_OLD, *RELEASES = SHA256
PORT = 5741


def jar_of(release: str) -> Path:
    """The jar of another release."""
    return from_maven_central("com.hazelcast", "hazelcast", release, SHA256[release])


@pytest.fixture
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    """Starts members of the release that the test is run with."""
    release = request.getfixturevalue("release")
    launcher = Launcher(tmp_path, find_java(), [jar_of(release)])
    yield launcher
    launcher.stop()


def addresses(release: str) -> list[str]:
    """Two addresses that no other release has here."""
    first = 102 + 2 * list(SHA256).index(release)
    return [f"{own_network()}.{first + number}" for number in range(2)]


@pytest.mark.parametrize("release", RELEASES)
def test_members_of_a_release_form_a_cluster_for_default_clients(
    launcher: Launcher, eventually: Eventually, release: str
) -> None:
    """With what most depends on the release: the grouping of partitions, variables, health checks."""
    group = addresses(release)
    given = {"port": str(PORT), "backups": "node", "backup_count": "2"}
    members = [
        launcher.member(address, group=group, given=given, place=place)
        for address, place in zip(group, ("one", "other"), strict=True)
    ]
    for member in members:
        eventually(lambda member=member: "Members {size:2," in member.text())
        eventually(lambda member=member: member.is_ready(PORT))
        assert f"[{release}]" in member.text()
    first, second = (launcher.app(each, HAZELCAST_ADDRESS=f"{each}:{PORT}") for each in group)
    for app in (first, second):
        eventually(lambda app=app: len(app.members()) == 2)
    assert first.ask("/put", key="k", value="v").status == 200
    assert second.ask("/get", key="k").text == "v"


@pytest.mark.parametrize("release", RELEASES)
def test_its_clients_can_be_those_of_the_pod_alone(
    launcher: Launcher, eventually: Eventually, release: str
) -> None:
    at_once = "-Dhazelcast.wait.seconds.before.join=0"
    port, *_ = free_ports(3)
    given = {"clients": "pod", "port": str(port), "java_opts": at_once}
    member = launcher.member("127.0.0.1", group=[], given=given)
    eventually(lambda: f":{port + 1} is STARTED" in member.text())
    app = launcher.app(
        addresses(release)[0], HAZELCAST_ADDRESS=f"127.0.0.1:{port}", HAZELCAST_SMART_ROUTING="false"
    )
    eventually(lambda: app.ask("/put", key="k", value="v").status == 200)
    assert app.ask("/get", key="k").text == "v"


@pytest.mark.parametrize("release", [TOO_OLD])
def test_members_of_an_older_release_end_at_once(launcher: Launcher, release: str) -> None:
    """Which is what a warning says about such an image."""
    assert tuple(map(int, release.split(".")[:2])) < OLDEST_RELEASE
    member = launcher.member(addresses(release)[0], given={"port": str(PORT)})
    assert member.popen.wait(180) != 0
    assert "InvalidConfigurationException" in member.log.read_text()
