"""`hazelcast-sidecar uninject`, which restores manifests as they were before `inject`."""

import argparse

from hazelcast_sidecar.cli.rewrite import add_rewriting, rewrite
from hazelcast_sidecar.injection.uninjection import uninject

_EXAMPLES = """examples:
  hazelcast-sidecar uninject shop.yaml | kubectl apply -f -
  hazelcast-sidecar uninject -R manifests/ --in-place
  kubectl get deployment shop -o yaml | hazelcast-sidecar uninject - --diff
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_rewriting(parser)


def run(options: argparse.Namespace) -> int:
    """Remove from every Pod and workload what was injected."""
    return rewrite(options, lambda placed, _: uninject(placed.obj))
