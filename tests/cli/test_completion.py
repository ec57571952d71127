"""Completion in real shells: what a user who presses Tab gets."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hazelcast_sidecar.cli import main

pytestmark = pytest.mark.heavy

PROGRAM = "hazelcast-sidecar"

_BASH = r"""
source "$1"
function=$(complete -p hazelcast-sidecar | sed 's/.*-F \([^ ]*\).*/\1/')
COMP_WORDS=($2)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"$function" hazelcast-sidecar "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"""
_FISH = """
source $argv[1]
complete -C $argv[2]
"""
# An interactive shell on a terminal of its own, into which the line and a Tab are typed.
_ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=($1:h \\$fpath); autoload -Uz compinit; compinit -u -D; echo 'rea''dy'"
zpty -r -m shell line '*ready*'
zpty -w -n shell "$2"$'\\t'
zpty -r -m shell line "*$2*$3*"
print -r -- "$line"
zpty -d shell
"""

SHELLS: dict[str, list[str]] = {
    "bash": ["bash", "--norc", "-c", _BASH, "bash"],
    "fish": ["fish", "--no-config", "-c", _FISH],
    "zsh": ["zsh", "-f", "-c", _ZSH, "zsh"],
}

Complete = Callable[[str, str], str]


@pytest.fixture(params=SHELLS)
def complete(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Complete a line in a shell that has read its script; the second argument is what zsh adds to it."""
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    script = tmp_path / f"_{PROGRAM}"  # the name by which zsh finds it
    script.write_text(capsys.readouterr().out)

    def completed(line: str, added: str) -> str:
        command = [*SHELLS[shell], str(script), line, added]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    return completed


def test_commands_are_completed(complete: Complete) -> None:
    assert "uninject" in complete(f"{PROGRAM} uninj", "ect")


def test_options_of_a_command_are_completed(complete: Complete) -> None:
    found = complete(f"{PROGRAM} inject --in-pl", "ace")
    assert "--in-place" in found
    assert "--keep-refused" not in found


def test_values_of_an_option_are_completed(complete: Complete) -> None:
    assert "missed" in complete(f"{PROGRAM} controller --repair mis", "sed")
