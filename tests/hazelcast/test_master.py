"""A member whose claim to be a master fails stays in its cluster, with the patch of the member's image."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.conftest import Launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hazelcast.conftest import Eventually, Program

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

NETWORK = own_network()
ASKER, MASTER, JOINER, LATER, SILENT = (f"{NETWORK}.{number}" for number in range(32, 37))
PORT = 5701
ATTEMPTS = 15
WARNING = "Cannot set master address to null because node is already joined"


class Joining(NamedTuple):
    """Members in the moment in which one of them joined a cluster while its claim to be a master failed."""

    master: Program
    joiner: Program


@pytest.fixture
def patched_launcher(new_java: Path, patched_class_path: list[Path], tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path, new_java, patched_class_path)
    yield launcher
    launcher.stop()


@pytest.fixture
def silent() -> Iterator[None]:
    """A member's port that takes connections and says nothing."""
    kept = []
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((SILENT, PORT), backlog=50))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(stack.enter_context(listening.accept()[0]))

        threading.Thread(target=accept, daemon=True).start()
        yield
        listening.shutdown(socket.SHUT_RDWR)


def seen(program: Program, pattern: str) -> bool:
    program.must_run()
    return re.search(pattern, program.log.read_text()) is not None


def race(launcher: Launcher, eventually: Eventually) -> Joining | None:
    """Stop members for a second, as a busy machine does, in the order in which one may forget its master.

    Returns:
        None where it came out otherwise, as it mostly does.
    """
    logging = launcher.folder / "logging.properties"
    logging.write_text(
        "handlers=java.util.logging.ConsoleHandler\n"
        "java.util.logging.ConsoleHandler.level=FINE\n"
        "com.hazelcast.internal.cluster.impl.DiscoveryJoiner.level=FINE\n"
    )
    at_once, late = ("-Dhazelcast.wait.seconds.before.join=0", "-Dhazelcast.wait.seconds.before.join=6")

    master = launcher.member(MASTER, given={"java_opts": at_once})
    # One that asks a silent member and waits for its vote, and so is no master and in no cluster.
    asker = launcher.member(ASKER, group=[ASKER, SILENT], given={"java_opts": late})
    eventually(lambda: seen(master, "is STARTED"))
    eventually(lambda: seen(asker, "is STARTING"))

    options = f"{late} -Djava.util.logging.config.file={logging}"
    joiner = launcher.member(JOINER, group=[JOINER, ASKER, MASTER], given={"java_opts": options})
    eventually(lambda: seen(joiner, "Using Discovery SPI"))
    master.popen.send_signal(signal.SIGSTOP)
    eventually(lambda: seen(joiner, rf"Initialized new cluster connection between .*{re.escape(ASKER)}"))
    asker.popen.send_signal(signal.SIGSTOP)
    # Now the joiner waits for the vote, and the master gets the question that came before.
    try:
        eventually(lambda: seen(joiner, "Claiming myself as master node"), 20)
    except pytest.fail.Exception:  # it was connected to the master already, whose address is lower
        joiner.must_run()
        return None
    master.popen.send_signal(signal.SIGCONT)
    with contextlib.suppress(pytest.fail.Exception):
        eventually(lambda: seen(joiner, r"Members \{size:2,"), 6)
    asker.popen.send_signal(signal.SIGCONT)
    with contextlib.suppress(pytest.fail.Exception):
        eventually(lambda: seen(joiner, WARNING), 5)
        asker.end(signal.SIGKILL)
        return Joining(master, joiner)
    return None


def health(member: Program, what: str) -> str:
    """What a member says of its cluster, or the status where it is not well."""
    member.must_run()
    try:
        with urllib.request.urlopen(
            f"http://{member.address}:{PORT}/hazelcast/health/{what}", timeout=4
        ) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.code)


@pytest.mark.usefixtures("silent")
def test_a_member_whose_claim_fails_after_it_joined_stays_in_its_cluster(
    patched_launcher: Launcher, eventually: Eventually
) -> None:
    for _ in range(ATTEMPTS):
        shown = race(patched_launcher, eventually)
        if shown:
            break
        patched_launcher.stop()
    else:
        pytest.fail(f"the race did not show in {ATTEMPTS} attempts")

    later = patched_launcher.member(LATER, group=[LATER, MASTER, JOINER])
    members = (*shown, later)
    for member in members:
        eventually(lambda member=member: seen(member, r"Members \{size:3,"))
        eventually(lambda member=member: health(member, "cluster-safe") != "503", 30)
        assert health(member, "cluster-size") == "3"
    assert [member.address for member in members if seen(member, "is not known master: null")] == []
