"""Networks of two Pods on this machine: a network namespace each, with a cable between them."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

NEEDS = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="needs Linux, root and the command ip",
)
PLUGGED_SECONDS = 30
_numbers = itertools.count()


@contextmanager
def pod_networks(
    first: str, second: str, *, others: str | None = None
) -> Iterator[dict[str, tuple[str, ...]]]:
    """Make the networks; the words in front of a command that run it where an address is.

    Args:
        first: the address of one Pod, with the length of the prefix.
        second: of the other one.
        others: an address that both have besides, on a network that leads nowhere.
    """
    names = [f"pod-{os.getpid()}-{next(_numbers)}" for _ in (first, second)]
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        one, other = names
        ip("-n", one, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", other)
        for name, address in zip(names, (first, second), strict=True):
            up(name, "lo")
            assign(name, "eth0", address)
            if others:
                ip("-n", name, "link", "add", "net1", "type", "veth", "peer", "name", "end1")
                up(name, "end1")
                assign(name, "net1", others)
        for name in names:
            deadline = time.monotonic() + PLUGGED_SECONDS
            while "LOWER_UP" not in ip("-n", name, "link", "show", "eth0"):
                assert time.monotonic() < deadline, "the cable is not plugged in"
        yield {
            address.partition("/")[0]: ("ip", "netns", "exec", name)
            for name, address in zip(names, (first, second), strict=True)
        }


def assign(namespace: str, interface: str, address: str) -> None:
    """Give an interface an address, and switch it on."""
    # An address of IPv6 would first be looked for on the network, and be of no use until then.
    words = ("nodad",) if ":" in address else ()
    ip("-n", namespace, "address", "add", address, "dev", interface, *words)
    up(namespace, interface)


def up(namespace: str, interface: str) -> None:
    """Switch an interface on."""
    ip("-n", namespace, "link", "set", interface, "up")


def ip(*words: str) -> str:
    """Run the command; what it printed."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def listening(within: tuple[str, ...]) -> set[str]:
    """Where programs listen in the network that these words lead to."""
    command = [*within, "ss", "--listening", "--tcp", "--numeric", "--no-header"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[3] for line in lines}
