"""Free ports and addresses of this machine for the replicas."""

import errno
import socket
from collections.abc import Sequence
from typing import NamedTuple

from hazelcast_sidecar.demo.failure import DemoError

_TRIED = 20
"""Ports that are tried, from the usual one on."""


class ReplicaPorts(NamedTuple):
    """The ports that are the same in each replica."""

    member: int
    application: int


USUAL = ReplicaPorts(5701, 5000)


def free_ports_of(addresses: Sequence[str]) -> ReplicaPorts:
    """Return the usual ports, or the next ones that are free on every address.

    Raises:
        DemoError: this machine lacks an address, or all that were tried are in use.
    """
    return ReplicaPorts(*(_first_free(addresses, usual) for usual in USUAL))


def _first_free(addresses: Sequence[str], usual: int) -> int:
    for port in range(usual, usual + _TRIED):
        if all(is_free(address, port) for address in addresses):
            return port
    raise DemoError(
        f"the ports {usual} to {usual + _TRIED - 1} are in use on {' or '.join(addresses)}: stop what "
        "listens there, and try again"
    )


def is_free(address: str, port: int) -> bool:
    """Tell whether a program can listen on a port.

    Raises:
        DemoError: this machine lacks the address, or does not let us listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EADDRNOTAVAIL:
                raise DemoError(
                    f"this machine lacks the address {address}: on macOS, run "
                    f"`sudo ifconfig lo0 alias {address}`"
                ) from error
            raise DemoError(f"port {port} of {address} cannot be used: {error.strerror}") from error
    return True


def free_local_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listening.getsockname()[1] for listening in sockets]
    finally:
        for listening in sockets:
            listening.close()
