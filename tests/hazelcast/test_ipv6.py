"""Members in Pods with nothing but IPv6, and 127.0.0.1: two network namespaces with a cable."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hazelcast_sidecar.demo.java import find_java, member_jars
from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = [
    pytest.mark.hazelcast,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="needs Linux, root and the command ip",
    ),
]

FIRST, SECOND = ADDRESSES = ("fd57:1::1", "fd57:1::2")


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start each member in its network."""
    namespaces = {address: f"ipv6-{os.getpid()}-{number}" for number, address in enumerate(ADDRESSES)}
    with ExitStack() as stack:
        for name in namespaces.values():
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        one, other = namespaces.values()
        ip("-n", one, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", other)
        for address, name in namespaces.items():
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "address", "add", f"{address}/64", "dev", "eth0", "nodad")
            ip("-n", name, "link", "set", "eth0", "up")
        for name in namespaces.values():
            deadline = time.monotonic() + 30
            while "LOWER_UP" not in ip("-n", name, "link", "show", "eth0"):
                assert time.monotonic() < deadline, "the cable is not plugged in"
        within: dict[str, tuple[str, ...]] = {
            address: ("ip", "netns", "exec", name) for address, name in namespaces.items()
        }
        launcher = Launcher(tmp_path_factory.mktemp("programs"), find_java(), member_jars(), within)
        stack.callback(launcher.stop)
        yield launcher


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


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
    assert listening(pods) == {"[::ffff:127.0.0.1]:5701", f"[{FIRST}]:5702", f"[{FIRST}]:5703"}
    for member in members:
        member.end()


def listening(pods: Launcher) -> set[str]:
    """Where the first member does."""
    command = [*pods.within[FIRST], "ss", "--listening", "--tcp", "--numeric", "--no-header"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[3] for line in lines}
