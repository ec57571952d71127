"""SQL from a client that is not Python, with which test_demo_page.py has it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.locks import only_one
from tests.harness.ports import own_network
from tests.hazelcast.client_programs import build_node
from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = [
    pytest.mark.hazelcast,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm"),
]

SELECT = Path(__file__).parent / "sql" / "select.js"
NETWORK = own_network()
PATIENCE = 300
"""Seconds; the first time packages are downloaded."""


@pytest.fixture(scope="module")
def command() -> list[str]:
    with only_one("clients"):
        return build_node(SELECT)


def run(command: list[str], address: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HAZELCAST_ADDRESS": f"{address}:5701"}
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=SELECT.parent
    )


def test_node_selects_entries_by_their_values(
    with_sql: Launcher, eventually: Eventually, command: list[str]
) -> None:
    member = with_sql.member(f"{NETWORK}.111", given={"sql": "true"})
    eventually(lambda: "Members {size:1" in member.text())
    done = run(command, member.address)
    assert "b: banana" in done.stdout.splitlines(), done.stderr
    assert "apple" not in done.stdout


def test_without_the_annotation_the_client_is_told_what_is_off(
    with_sql: Launcher, eventually: Eventually, command: list[str]
) -> None:
    member = with_sql.member(f"{NETWORK}.112")
    eventually(lambda: "Members {size:1" in member.text())
    done = run(command, member.address)
    assert done.returncode == 1
    assert "The Jet engine is disabled" in done.stderr
