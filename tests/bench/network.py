"""Nodes for a measurement: loopback addresses, or namespaces of Linux with a distance between them.

Where the kernel has netem (`tc qdisc add ... netem delay`), veth pairs with that would do; many kernels are
built without. So the distance is a program's work: each node's only route to the others is a TUN device, and
`link.py` holds every packet for a fixed time before it passes it on.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.ports import own_network

ONE_WAY_MS = 0.25
"""Between any two nodes; there and back is what a client waits for."""

DEVICE = "wire"


@dataclass(frozen=True)
class Node:
    """One address, and the words in front of a command that run it where that address is."""

    address: str
    prefix: tuple[str, ...] = ()


@contextlib.contextmanager
def on_loopback(count: int) -> Iterator[list[Node]]:
    """Nodes without any distance."""
    network = own_network()
    yield [Node(f"{network}.{number}") for number in range(2, 2 + count)]


def why_not_apart() -> str | None:
    """What keeps `apart` from working here, in a few words; None: nothing."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs Linux, root and the command ip"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "may not make network namespaces"


@contextlib.contextmanager
def apart(count: int) -> Iterator[list[Node]]:
    """Nodes with ONE_WAY_MS between any two of them, each with a loopback of its own."""
    names = {f"bench-{os.getpid()}-{number}": f"10.213.77.{number}" for number in range(1, 1 + count)}
    with contextlib.ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
        command = [sys.executable, str(Path(__file__).with_name("link.py")), str(ONE_WAY_MS)]
        link = subprocess.Popen(
            [*command, DEVICE, *(f"{name}={address}" for name, address in names.items())],
            stdout=subprocess.PIPE,
        )
        stack.callback(link.wait)
        stack.callback(link.kill)
        assert link.stdout
        if link.stdout.readline() != b"ready\n":
            sys.exit("make bench: the link between the nodes did not start")
        for name, address in names.items():
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", DEVICE)
            _ip("-n", name, "link", "set", DEVICE, "up")
        yield [Node(address, ("ip", "netns", "exec", name)) for name, address in names.items()]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)
