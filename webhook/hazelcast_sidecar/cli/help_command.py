"""`hazelcast-sidecar help`, which shows how a command is used."""

import argparse

import hazelcast_sidecar.cli

_EXAMPLES = """examples:
  hazelcast-sidecar help
  hazelcast-sidecar help install
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("about", nargs="?", choices=tuple(hazelcast_sidecar.cli.COMMANDS), metavar="COMMAND")


def run(options: argparse.Namespace) -> int:
    """Print what `--help` prints."""
    commands = [options.about] if options.about else []
    hazelcast_sidecar.cli.parser(commands).parse_args([*commands, "--help"])  # which ends the program
    return 0
