"""`hazelcast-sidecar controller`: keeps what injected Pods need beside them."""

import argparse
import os
import socket
from pathlib import Path

from webhook.cli.options import address
from webhook.controller.run import ControllerSettings
from webhook.controller.run import run as run_controller

_LOCAL_NAMESPACE = "hazelcast-sidecar-injector"
_SHORTEST_LEASE = 3
_EXAMPLES = """examples:
  hazelcast-sidecar controller                                  in a Pod of the cluster
  hazelcast-sidecar controller --kubeconfig ~/.kube/config      from anywhere
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--admin-listen",
        type=address,
        default="0.0.0.0:8080",
        metavar="HOST:PORT",
        help="/livez, /readyz and /metrics (%(default)s)",
    )
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="names the cluster (the one that this Pod runs in)"
    )
    parser.add_argument(
        "--namespace",
        default=os.environ.get("POD_NAMESPACE", _LOCAL_NAMESPACE),
        help="where the Lease of the leader election is (%(default)s)",
    )
    parser.add_argument(
        "--identity",
        default=os.environ.get("POD_NAME", socket.gethostname()),
        help="of this replica, in the Lease (%(default)s)",
    )
    parser.add_argument(
        "--lease-seconds",
        type=_lease,
        default=15,
        metavar="N",
        help="how long a leader that is gone keeps the others waiting (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run until told to stop."""
    settings = ControllerSettings(
        admin_listen=options.admin_listen,
        kubeconfig=options.kubeconfig,
        namespace=options.namespace,
        identity=options.identity,
        lease_seconds=options.lease_seconds,
    )
    run_controller(settings)
    return 0


def _lease(text: str) -> int:
    if not text.isdecimal() or int(text) < _SHORTEST_LEASE:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds from {_SHORTEST_LEASE}')
    return int(text)
