"""Options of the commands that listen on ports."""

import argparse

from hazelcast_sidecar.runtime.address import Address

_MAX_PORT = 65535


def add_admin_listen(parser: argparse.ArgumentParser) -> None:
    """Add the option for the address of probes and metrics, which are asked for from outside the Pod."""
    parser.add_argument(
        "--admin-listen",
        type=address,
        default="0.0.0.0:8080",
        metavar="HOST:PORT",
        help="address of /livez, /readyz and /metrics (%(default)s)",
    )


def address(text: str) -> Address:
    """Parse HOST:PORT to listen on."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f'"{text}" is not HOST:PORT, such as 0.0.0.0:8443')
    return Address(host.strip("[]"), int(port))
