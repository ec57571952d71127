"""What Management Center, which connects as a client does, may do with a member."""

import shutil
from pathlib import Path

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.client_programs import run_client, run_java
from tests.hazelcast.conftest import Eventually, Launcher, lone_member

pytestmark = [
    pytest.mark.hazelcast,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK, to compile the client"),
]

CONSOLE = Path(__file__).parent / "management" / "Console.java"
NETWORK = own_network()


@pytest.mark.parametrize(
    ("number", "given", "answer"),
    [
        (91, {}, "refused Using Console is not allowed on this Hazelcast member."),
        (92, {"management": "true"}, "said Size: 0"),
    ],
)
def test_the_console_is_open_where_it_is_asked_for(
    launcher: Launcher, eventually: Eventually, number: int, given: dict[str, str], answer: str
) -> None:
    member = lone_member(launcher, eventually, f"{NETWORK}.{number}", **given)

    done = run_client(run_java(CONSOLE), member.address)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == answer
