"""`version` and `help`, as other command lines have them."""

import json
import re

import pytest

from hazelcast_sidecar.cli import COMMANDS
from hazelcast_sidecar.version import __version__
from tests.harness.command_line import run_here


def test_the_version_is_a_line_and_for_programs_an_object() -> None:
    assert run_here("version").stdout == f"{__version__}\n" == run_here("--version").stdout
    assert json.loads(run_here("version", "-o", "json").stdout)["version"] == __version__


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_what_its_option_prints(command: str) -> None:
    shown = run_here("help", command)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == run_here(command, "--help").stdout
    assert shown.stdout.startswith(f"usage: hazelcast-sidecar {command} ")


def test_help_alone_names_every_command() -> None:
    shown = run_here("help").stdout
    assert shown == run_here("--help").stdout
    named = re.findall(r"^    ([a-z]+)\s", shown, re.MULTILINE)
    assert named == list(COMMANDS)


def test_help_of_no_command_is_an_error() -> None:
    shown = run_here("help", "instal")
    assert shown.returncode == 2
    assert "invalid choice: 'instal'" in shown.stderr
