"""`hazelcast-sidecar demo`, as a user runs it: real members, the real webhook, this machine."""

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.locks import only_one
from tests.harness.waiting import until

pytestmark = pytest.mark.hazelcast

DEMO = [sys.executable, "-m", "hazelcast_sidecar.cli", "demo"]
REPLICA_ADDRESSES = ("127.0.0.2", "127.0.0.3")
RUN_SECONDS = 300


def listening() -> list[tuple[str, int]]:
    """The replicas' addresses and ports that something listens on."""
    found = []
    for address in REPLICA_ADDRESSES:
        for port in (5701, 5000):
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((address, port)) == 0:
                    found.append((address, port))
    return found


@pytest.fixture(scope="module", autouse=True)
def _has_the_addresses() -> Iterator[None]:
    with only_one("demo"):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    assert listening() == []
    yield
    assert listening() == []


def test_it_forms_a_cluster_and_survives_the_loss_of_a_replica() -> None:
    ended = subprocess.run(
        DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert (figures["members"], figures["put_replica"], figures["get_replica"]) == (2, 0, 1)
    assert figures["value"] == figures["value_after_kill"] != ""
    assert 0 < figures["seconds"] < RUN_SECONDS
    told = ended.stdout.splitlines()
    headings = [
        line for line in told if line.startswith(("Annotate:", "Inject:", "Cluster:", "Put, get, kill:"))
    ]
    assert len(headings) == 4
    shown = told[told.index(headings[1]) : told.index(headings[2])]
    assert "    +  - name: hazelcast" in shown
    assert "         sidecar.hazelcast.com/inject: 'true'" in shown, "the annotation is in view"
    assert "    +    startupProbe:" not in shown, "what matters less is not"
    assert max(map(len, shown)) <= 60
    assert "\x1b[" not in ended.stdout  # no colours where nobody sees them


def test_stopped_half_way_it_leaves_nothing_behind() -> None:
    running = subprocess.Popen(DEMO, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        until(RUN_SECONDS, "members listen", lambda: listening() != [])
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=RUN_SECONDS)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Stopped: all processes have ended." in output


@pytest.mark.slow
def test_where_ports_are_in_use_the_next_ones_serve_and_all_of_the_change_is_shown_on_request() -> None:
    with socket.create_server(("127.0.0.2", 5000)), socket.create_server(("127.0.0.3", 5701)):
        ended = subprocess.run(
            [*DEMO, "--diff"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Port 5701 is in use here, so the members have 5702." in ended.stdout
    assert "Port 5000 is in use here, so the applications have 5001." in ended.stdout
    assert "+    startupProbe:" in ended.stdout
    assert json.loads(ended.stdout.splitlines()[-1])["value_after_kill"]


def test_killed_outright_it_leaves_nothing_behind() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, which ends a program with its parent, is not installed")
    with subprocess.Popen(DEMO, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        until(RUN_SECONDS, "members listen", lambda: listening() != [])
        running.kill()
    until(RUN_SECONDS, "none listens", lambda: listening() == [])


class Terminal:
    """A demonstration on a terminal of 20 lines and 60 columns, and a person's keys."""

    def __init__(self) -> None:
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        self.program = subprocess.Popen(DEMO, stdin=its, stdout=its, stderr=its, start_new_session=True)
        os.close(its)
        self._terminal = ours
        self._shown = ""

    def close(self) -> None:
        self.program.kill()
        self.program.wait(RUN_SECONDS)
        os.close(self._terminal)

    def press(self, key: str) -> None:
        os.write(self._terminal, key.encode())

    def until_shown(self, sentence: str) -> None:
        """Read on to a sentence; what is behind it is read by the next call."""

        def is_shown() -> bool:
            if select.select([self._terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # Linux says so when the other side is closed
                    self._shown += os.read(self._terminal, 65536).decode(errors="replace")
            return sentence in self._shown

        until(RUN_SECONDS, sentence, is_shown)
        self._shown = self._shown.partition(sentence)[2]


@pytest.mark.slow
def test_on_a_terminal_a_person_adds_and_kills_replicas_and_ends_it() -> None:
    terminal = Terminal()
    try:
        terminal.until_shown("k kills a replica, a adds one, q ends.")
        terminal.press("a")
        terminal.until_shown("3 replicas in one cluster")
        terminal.press("k")
        terminal.until_shown("is still there; 2 replicas in one cluster")
        terminal.press("?")
        terminal.until_shown("k kills a replica, a adds one, q ends.")
        terminal.press("k")
        terminal.until_shown("is still there; 1 replica in one cluster")
        terminal.press("k")
        terminal.until_shown("This is the last replica")
        terminal.press("q")
        terminal.until_shown("Stopped: all processes have ended.")
        assert terminal.program.wait(RUN_SECONDS) == 0
    finally:
        terminal.close()


def test_a_missing_download_is_one_sentence(tmp_path: Path) -> None:
    # An empty local repository, and a proxy where none is: a fresh machine without network.
    nowhere = "http://127.0.0.1:9"
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "M2_REPO": str(tmp_path),
        "HTTPS_PROXY": nowhere,
        "https_proxy": nowhere,
    }
    ended = subprocess.run(DEMO, capture_output=True, text=True, timeout=RUN_SECONDS, env=env, check=False)
    assert ended.returncode == 1, ended.stdout
    assert ended.stderr.startswith("demo: Hazelcast 5.7.0 could not be downloaded")
    assert len(ended.stderr.splitlines()) == 1
