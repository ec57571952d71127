"""SQL from a client that is not Python, with which test_demo_page.py has it."""

import shutil
from pathlib import Path

import pytest

from tests.harness.locks import only_one
from tests.harness.ports import own_network
from tests.hazelcast.client_programs import build_node, run_client
from tests.hazelcast.conftest import Eventually, Launcher, lone_member

pytestmark = [
    pytest.mark.hazelcast,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm"),
]

SELECT = Path(__file__).parent / "sql" / "select.js"
NETWORK = own_network()


@pytest.fixture(scope="module")
def command() -> list[str]:
    with only_one("clients"):
        return build_node(SELECT)


def test_node_selects_entries_by_their_values(
    with_sql: Launcher, eventually: Eventually, command: list[str]
) -> None:
    member = lone_member(with_sql, eventually, f"{NETWORK}.111", sql="true")
    done = run_client(command, member.address)
    assert "b: banana" in done.stdout.splitlines(), done.stderr
    assert "apple" not in done.stdout


def test_without_the_annotation_the_client_is_told_what_is_off(
    with_sql: Launcher, eventually: Eventually, command: list[str]
) -> None:
    member = lone_member(with_sql, eventually, f"{NETWORK}.112")
    done = run_client(command, member.address)
    assert done.returncode == 1
    assert "The Jet engine is disabled" in done.stderr
