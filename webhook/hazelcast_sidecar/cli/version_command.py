"""`hazelcast-sidecar version`, which prints the version of this command."""

import argparse
import platform
import sys

from hazelcast_sidecar.cli.output import add_output, values
from hazelcast_sidecar.version import __version__

_EXAMPLES = """`hazelcast-sidecar check` says whether the webhook of a cluster has the same version.

examples:
  hazelcast-sidecar version
  hazelcast-sidecar version -o json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_output(parser, "text", "json", "yaml")


def run(options: argparse.Namespace) -> int:
    """Print the version, and for programs also that of Python."""
    if options.output == "text":
        sys.stdout.write(f"{__version__}\n")
    else:
        found = {"version": __version__, "python": platform.python_version()}
        sys.stdout.write(values([found], options.output))
    return 0
