"""`hazelcast-sidecar controller`, which reconciles the objects that injected Pods need."""

import argparse
import os
import socket
from pathlib import Path

from hazelcast_sidecar.cli.listen_options import add_admin_listen
from hazelcast_sidecar.cli.options import add_settings, time_span
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.names import service_names

_LOCAL_NAMESPACE = "hazelcast-sidecar-injector"
_SHORTEST_LEASE = 3
_EXAMPLES = """examples:
  hazelcast-sidecar controller                                  in a Pod of the cluster
  hazelcast-sidecar controller --kubeconfig ~/.kube/config      from anywhere
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_admin_listen(parser)
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="kubeconfig (default: the Pod's own cluster)"
    )
    parser.add_argument(
        "--namespace",
        default=os.environ.get("POD_NAMESPACE", _LOCAL_NAMESPACE),
        help="namespace of the Lease for leader election (%(default)s)",
    )
    parser.add_argument(
        "--identity",
        default=os.environ.get("POD_NAME", socket.gethostname()),
        help="identity of this replica in the Lease (default: the host name)",
    )
    parser.add_argument(
        "--lease-seconds",
        type=_lease,
        default=15,
        metavar="N",
        help="time until another replica takes over from a leader that is gone (%(default)s)",
    )
    parser.add_argument(
        "--certificates",
        choices=("manage", "leave"),
        default="manage",
        help="issue and rotate the webhook's certificates, or leave that to others (%(default)s)",
    )
    add_settings(parser)
    parser.add_argument(
        "--repair",
        choices=("none", "missed", "all"),
        default="none",
        help="evict Pods that asked for a member and have none, or also those with an outdated one "
        "(%(default)s)",
    )
    parser.add_argument(
        "--watch-groups",
        action="store_true",
        help="ask the members of each group for their views, and report groups that are not one cluster",
    )
    for name, default, what in (
        ("--audit-interval", "5m", "interval between audits for Pods without a member"),
        (
            "--repair-after",
            "5m",
            "time as leader, with unchanged settings, before an eviction; longer than a ConfigMap needs",
        ),
        ("--split-after", "1m", "time that a group is not one cluster before that is reported"),
        ("--leaf-lifetime", "90d", "lifetime of the webhook's certificate, which is renewed after 2/3 of it"),
        ("--ca-lifetime", "3650d", "lifetime of the CA, which is rotated after 2/3 of it"),
        ("--overlap", "10m", "time between the steps of a rotation; longer than a Secret needs"),
    ):
        parser.add_argument(
            name, type=time_span, default=default, metavar="SPAN", help=f"{what} (%(default)s)"
        )


def run(options: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    if options.overlap * 3 > options.leaf_lifetime or options.overlap * 6 > options.ca_lifetime:
        sentence = "must fit into the last third of the leaf's lifetime, and twice into that of the CA's"
        raise InvalidSettingsError([Problem("--overlap", sentence)])
    # Imported here: --help and completion do without what it runs, and so without the extra.
    from hazelcast_sidecar.controller.audit.findings import DRIFTED, MISSED  # noqa: PLC0415
    from hazelcast_sidecar.controller.lifecycle import ControllerSettings  # noqa: PLC0415
    from hazelcast_sidecar.controller.lifecycle import run as run_controller  # noqa: PLC0415
    from hazelcast_sidecar.controller.registration.rotation import Policy  # noqa: PLC0415

    policy = Policy(
        names=service_names(options.namespace),
        leaf_lifetime=options.leaf_lifetime,
        authority_lifetime=options.ca_lifetime,
        overlap=options.overlap,
    )
    settings = ControllerSettings(
        admin_listen=options.admin_listen,
        kubeconfig=options.kubeconfig,
        namespace=options.namespace,
        identity=options.identity,
        lease_seconds=options.lease_seconds,
        certificates=policy if options.certificates == "manage" else None,
        settings=options.settings,
        audit_seconds=options.audit_interval.total_seconds(),
        repair={"none": (), "missed": (MISSED,), "all": (MISSED, DRIFTED)}[options.repair],
        repair_seconds=options.repair_after.total_seconds(),
        split_seconds=options.split_after.total_seconds() if options.watch_groups else None,
    )
    run_controller(settings)
    return 0


def _lease(text: str) -> int:
    if not text.isdecimal() or int(text) < _SHORTEST_LEASE:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of seconds from {_SHORTEST_LEASE}')
    return int(text)
