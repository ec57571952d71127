"""A Pod beside a cluster: it runs commands, and tries what it reaches over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

TAKES_CLIENTS = "waits"
"""What a member's port for clients says to a client's first word: nothing, it waits for the next one."""

TAKES_NO_CLIENTS = "HZX"
"""What a member says to it at its other ports: that it does not know this protocol."""

KEPT_OUT = frozenset(("refused", "no answer", "no route"))
"""What a port says that cannot be reached; networks differ in how they say it."""

_KNOCK = """
import socket, sys
for port in map(int, sys.argv[2:]):
    try:
        connection = socket.create_connection((sys.argv[1], port), timeout=3)
    except ConnectionRefusedError:
        print(port, "refused")
    except TimeoutError:
        print(port, "no answer")
    except OSError:
        print(port, "no route")
    else:
        with connection:
            try:
                connection.sendall(b"CP2")  # a client's first word
                print(port, connection.recv(3).decode() or "closed")
            except TimeoutError:
                print(port, "waits")
            except OSError:
                print(port, "reset")
"""

_FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


def python(kubectl: Kubectl, pod: str, script: str, *arguments: str, container: str = "") -> str:
    """Run a script in a Pod, in its first container unless another is named, and return what it printed."""
    named = [f"--container={container}"] if container else []
    return kubectl("exec", pod, *named, "--", "python", "-c", script, *arguments).strip()


def knock(kubectl: Kubectl, pod: str, address: str, *ports: int, container: str = "") -> dict[int, str]:
    """Connect from a Pod to ports of an address; what each of them says, in a word."""
    said = python(kubectl, pod, _KNOCK, address, *map(str, ports), container=container)
    return {int(port): word for port, word in (line.split(" ", 1) for line in said.splitlines())}


def fetch(kubectl: Kubectl, pod: str, url: str) -> str:
    """The body of a GET from a Pod."""
    return python(kubectl, pod, _FETCH, url)
