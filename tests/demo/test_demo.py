"""`hazelcast-sidecar demo`, as a user runs it: real members, the real webhook, this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.locks import only_one

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
    assert "+  initContainers:" in ended.stdout  # the Pod before and after
    assert "\x1b[" not in ended.stdout  # no colours where nobody sees them


def test_stopped_half_way_it_leaves_nothing_behind() -> None:
    running = subprocess.Popen(DEMO, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + RUN_SECONDS
        while not listening():
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=RUN_SECONDS)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Stopped: all processes have ended." in output


def test_a_busy_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.3", 5701)):
        ended = subprocess.run(DEMO, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("demo: port 5701 of 127.0.0.3 is in use: stop what listens there")
    assert len(ended.stderr.splitlines()) == 1


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
