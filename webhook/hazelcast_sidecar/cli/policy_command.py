"""`hazelcast-sidecar policy`, which prints admission policies that inject without a webhook."""

import argparse
import sys
from textwrap import wrap

from hazelcast_sidecar.admission_policies.policies import LIMITS, policies
from hazelcast_sidecar.cli.options import add_settings
from hazelcast_sidecar.cli.output import add_output, objects
from hazelcast_sidecar.runtime.settings_file import SettingsFile

_EXAMPLES = """needs Kubernetes 1.36 or newer
Only annotations on Pods and Pod templates count, there are no warnings, and a workload whose name is not a
DNS label needs the annotation group; the comment at the top of the YAML lists all differences.

examples:
  hazelcast-sidecar policy | kubectl apply --server-side -f -
  hazelcast-sidecar policy --settings settings.yaml >policy.yaml
  hazelcast-sidecar policy -o json | jq '.items[].kind'
"""

_INTRODUCTION = (
    "Kubernetes 1.36 and newer: the API server injects Hazelcast members itself, without a webhook. Made by "
    "`hazelcast-sidecar policy`; do not edit it, make it again. Differences from the webhook:"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_settings(parser)
    add_output(parser, "yaml", "json")


def run(options: argparse.Namespace) -> int:
    """Print the policies."""
    found = policies(SettingsFile(options.settings).load())
    if options.output == "yaml":
        sys.stdout.write(_header())
    sys.stdout.write(objects(found, options.output))
    return 0


def _header() -> str:
    """Return the policies' description as YAML comments."""
    lines = wrap(_INTRODUCTION, 108)
    for limit in LIMITS:
        lines += wrap(limit, 108, initial_indent="- ", subsequent_indent="  ")
    return "".join(f"# {line}\n" for line in lines)
