"""`hazelcast-sidecar uninstall`, which prints what to delete."""

import argparse
import sys

from hazelcast_sidecar.cli.options import add_injector_namespace
from hazelcast_sidecar.cli.output import add_output, objects
from hazelcast_sidecar.installation.rendering import removal_order

_EXAMPLES = """The webhook's configuration comes first, so that no Pod depends on the rest. Pods keep their
members. The namespace is deleted with all that is in it.

examples:
  hazelcast-sidecar uninstall | kubectl delete --ignore-not-found -f -
  hazelcast-sidecar policy | kubectl delete --ignore-not-found -f -      where policies inject instead
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_injector_namespace(parser)
    add_output(parser, "yaml", "json")


def run(options: argparse.Namespace) -> int:
    """Print the objects to delete, in that order."""
    sys.stdout.write(objects(removal_order(options.namespace), options.output))
    return 0
