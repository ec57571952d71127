"""Options that several commands have, and types of options."""

import argparse
import re
from datetime import timedelta

from webhook.daemon.admin import Address

_MAX_PORT = 65535
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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


def time_span(text: str) -> timedelta:
    """A number of seconds, minutes, hours or days."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a time span such as 30s, 10m, 12h or 90d')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
