"""Options of the commands that listen."""

import argparse

from hazelcast_sidecar.runtime.address import Address

_MAX_PORT = 65535


def add_admin_listen(parser: argparse.ArgumentParser) -> None:
    """Where the kubelet and Prometheus, which come from outside the Pod, ask."""
    parser.add_argument(
        "--admin-listen",
        type=address,
        default="0.0.0.0:8080",
        metavar="HOST:PORT",
        help="/livez, /readyz and /metrics (%(default)s)",
    )


def address(text: str) -> Address:
    """HOST:PORT to listen on."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f'"{text}" is not HOST:PORT, such as 0.0.0.0:8443')
    return Address(host.strip("[]"), int(port))
