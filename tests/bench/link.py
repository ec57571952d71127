"""The link between nodes: takes IP packets from the TUN device of each, and passes them on a moment later.

    link.py MILLISECONDS DEVICE NAMESPACE=ADDRESS ...

Prints `ready` when every device is there (of that name in each namespace), and runs until it is killed.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_TUN_WITHOUT_HEADER = 0x1001  # IFF_TUN | IFF_NO_PI
_NET_NAMESPACE = 0x40000000  # CLONE_NEWNET
_LARGEST_PACKET = 65536
_DESTINATION = slice(16, 20)  # of an IPv4 header


def open_device(name: str, namespace: str) -> int:
    """Make the device of a namespace, and return what it is read and written by."""
    # Python has os.setns from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{namespace}").open("rb") as there:
        if libc.setns(there.fileno(), _NET_NAMESPACE):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _SET_INTERFACE, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER))
    return device


def run(seconds: float, name: str, nodes: dict[str, str]) -> None:
    """Pass packets on until the end of the world; what goes nowhere is dropped."""
    devices = {
        socket.inet_aton(address): open_device(name, namespace) for namespace, address in nodes.items()
    }
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for device in select.select(devices.values(), (), (), wait)[0]:
            packet = os.read(device, _LARGEST_PACKET)
            to = devices.get(packet[_DESTINATION])
            if to is not None:
                under_way.append((time.monotonic() + seconds, to, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, to, packet = under_way.popleft()
            os.write(to, packet)


if __name__ == "__main__":
    milliseconds, device, *pairs = sys.argv[1:]
    run(float(milliseconds) / 1e3, device, dict(pair.split("=") for pair in pairs))
