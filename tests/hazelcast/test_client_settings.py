"""What settings of a client are worth when a member is killed: docs/clients.md, measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.locks import only_one
from tests.harness.ports import own_network
from tests.hazelcast.client_programs import BUILDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = [pytest.mark.hazelcast, pytest.mark.slow]

PROGRAMS = Path(__file__).parent / "longest_put"
FILES = {"node": "longest-put.js", "go": "main.go", "java": "LongestPut.java"}
NETWORK = own_network()
GROUP = [f"{NETWORK}.{number}" for number in (82, 83)]
BACKUP_TIMEOUT = 5000
"""Milliseconds that a client waits for the word of a backup, by default."""
PATIENCE = 240


@pytest.fixture(scope="module")
def commands() -> Iterator[dict[str, list[str]]]:
    """How to run the program of each language that this machine has; of Python by all means."""
    with only_one("longest-put"):
        others = {
            language: build(PROGRAMS / FILES[language])
            for language, (tool, build) in BUILDERS.items()
            if shutil.which(tool)
        }
        yield {"python": [sys.executable, str(PROGRAMS / "longest_put.py")], **others}


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program that begins at the second member, the one that stays."""
    env = {**os.environ, "HAZELCAST_ADDRESS": f"{GROUP[1]}:5701"}
    with log.open("wb") as out:
        return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)


def longest_puts(
    commands: dict[str, list[str]], folder: Path, eventually: Eventually, kill: Callable[[], None]
) -> dict[str, int]:
    """Milliseconds of each program's longest put while a member is killed."""
    logs = {name: folder / f"{name}.log" for name in commands}
    started = {name: start(command, logs[name]) for name, command in commands.items()}
    try:
        for log in logs.values():
            eventually(lambda log=log: "putting" in log.read_text())
        time.sleep(1)
        kill()
        time.sleep(BACKUP_TIMEOUT / 1000 + 2)
        for program in started.values():
            assert program.stdin
            program.stdin.close()
        for program in started.values():
            program.wait(PATIENCE)
    finally:
        for program in started.values():
            program.kill()
            program.wait()
    return {name: int(log.read_text().rpartition("longest ")[2].split()[0]) for name, log in logs.items()}


def test_a_put_does_not_wait_for_the_word_of_a_member_that_is_gone(
    launcher: Launcher, commands: dict[str, list[str]], tmp_path: Path, eventually: Eventually
) -> None:
    members = [launcher.member(address, group=GROUP) for address in GROUP]
    for member in members:
        eventually(lambda member=member: "Members {size:2" in member.text())
    in_a_pod = {language: [*command, "in-a-pod"] for language, command in commands.items()}
    # The Go client never asks members to confirm backups to it, and may wait for a lost answer for ever.
    default = {f"{language} default": commands[language] for language in commands if language != "go"}

    found = longest_puts(in_a_pod | default, tmp_path, eventually, members[0].popen.kill)

    slow = {name for name, milliseconds in found.items() if milliseconds >= BACKUP_TIMEOUT}
    assert slow == set(default), found
