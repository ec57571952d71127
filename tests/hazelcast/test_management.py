"""What Management Center, which connects as a client does, may do with a member."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.ports import own_network
from tests.hazelcast.client_programs import run_java
from tests.hazelcast.conftest import Eventually, Launcher

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
    member = launcher.member(f"{NETWORK}.{number}", given=given)
    eventually(lambda: "Members {size:1" in member.text())

    env = {**os.environ, "HAZELCAST_ADDRESS": f"{member.address}:5701"}
    done = subprocess.run(run_java(CONSOLE), env=env, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == answer
