"""`hazelcast-sidecar completion`, which prints a shell completion script."""

import argparse
import sys

import shtab

import hazelcast_sidecar.cli

_EXAMPLES = """examples:
  source <(hazelcast-sidecar completion bash)
  hazelcast-sidecar completion zsh > "${fpath[1]}/_hazelcast-sidecar"
  hazelcast-sidecar completion fish > ~/.config/fish/completions/hazelcast-sidecar.fish
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)


def run(options: argparse.Namespace) -> int:
    """Print the completion script."""
    parser = hazelcast_sidecar.cli.parser()
    _complete_files(parser)
    sys.stdout.write(shtab.complete(parser, options.shell) + "\n")
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Complete file names for every option and argument that takes one."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for command in action.choices.values():
                _complete_files(command)
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
