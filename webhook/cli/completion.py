"""`hazelcast-sidecar completion`: completes the command line in a shell."""

import argparse
import sys

import shtab

import webhook.cli

_EXAMPLES = """examples:
  source <(hazelcast-sidecar completion bash)
  hazelcast-sidecar completion zsh > "${fpath[1]}/_hazelcast-sidecar"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(shtab.complete(webhook.cli.parser(), options.shell) + "\n")
    return 0
