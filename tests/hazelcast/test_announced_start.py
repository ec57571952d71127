"""Members of the image built here wait until the DNS lists them: before, they know nothing of others."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hazelcast_sidecar.demo.java import member_jars
from tests.harness.ports import own_network
from tests.hazelcast.conftest import ROOT, Launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hazelcast.conftest import Eventually

pytestmark = pytest.mark.hazelcast

NETWORK = own_network()
FIRST, SECOND, THIRD, GONE = (f"{NETWORK}.{number}" for number in range(42, 46))
PORT = 5701


@pytest.fixture
def launcher(new_java: Path, compiler: str, tmp_path: Path) -> Iterator[Launcher]:
    """Starts members as the image does."""
    classes = tmp_path / "classes"
    source = ROOT / "member" / "start" / "AnnouncedStart.java"
    subprocess.run([*compiler.split(), "-d", classes, source], check=True)
    launcher = Launcher(tmp_path, new_java, [classes, *member_jars()], starter=("AnnouncedStart",))
    yield launcher
    launcher.stop()


@pytest.mark.slow
def test_members_that_the_dns_does_not_list_wait_and_form_no_cluster(
    launcher: Launcher, eventually: Eventually
) -> None:
    """As in a rollout while the DNS is away: it stops at the first one that is not ready."""
    group = [FIRST, SECOND, THIRD]
    first = launcher.member(FIRST)
    eventually(lambda: "Members {size:1," in first.log.read_text())
    assert "Waiting for the DNS" not in first.log.read_text()

    without_dns = launcher.member(SECOND, group=[])
    with_an_old_answer = launcher.member(THIRD, group=[GONE])
    for waiting in (without_dns, with_an_old_answer):
        eventually(
            lambda waiting=waiting: "Waiting for the DNS to list this member" in waiting.log.read_text()
        )
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((waiting.address, PORT), timeout=5)

    for waiting in (without_dns, with_an_old_answer):
        launcher.publish(group, to=waiting.address)
    for member in (first, without_dns, with_an_old_answer):
        eventually(lambda member=member: "Members {size:3," in member.log.read_text())
    for waited in (without_dns, with_an_old_answer):
        assert "Members {size:1," not in waited.log.read_text()
