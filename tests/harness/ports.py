"""Ports for programs that are told theirs before they start; no other process of these tests has them.

A port that was free a moment ago may be gone by the time a program listens on it: to a program of another
process, or to a connection, whose near end is a port of the ephemeral range (from 32768 or 49152 on).
So these ports lie below that range, in blocks. A process owns a block while it holds the block's first port,
and hands out the others in turn.
"""

import contextlib
import functools
import itertools
import os
import socket

_FIRST, _BLOCK, _BLOCKS = 10_000, 400, 50


def free_ports(count: int) -> list[int]:
    """Return loopback ports, one behind the other, that nothing listens on."""
    block = _own_block()
    for _ in range(_BLOCK):
        ports = block.take(count)
        if all(map(_is_free, ports)):
            return ports
    raise RuntimeError(f"no {count} free ports in a row among {_BLOCK} from {block.first} on")


class Block:
    """A block of ports, which belongs to this process while it holds the first of them."""

    def __init__(self, anchor: socket.socket) -> None:
        self._anchor = anchor
        self.first: int = anchor.getsockname()[1]
        self._next = self.first + 1

    def close(self) -> None:
        """Give the block back."""
        self._anchor.close()

    def take(self, count: int) -> list[int]:
        """Return the next ports in a row; those that were handed out longest ago come again."""
        if self._next + count > self.first + _BLOCK:
            self._next = self.first + 1
        ports = range(self._next, self._next + count)
        self._next += count
        return [*ports]


def own_network() -> str:
    """Return the first three numbers of loopback addresses that another run on this machine hardly has too.

    A default member takes port 5701 and looks for others at 5701, so what keeps runs apart is the address.
    """
    process = os.getpid()
    return f"127.{20 + process % 200}.{process // 200 % 250}"


@functools.cache
def _own_block() -> Block:
    return take_block()


def take_block() -> Block:
    """Take a block that no other process has; the end of this process, whichever it is, gives it back."""
    start = os.getpid() % _BLOCKS
    for number in itertools.chain(range(start, _BLOCKS), range(start)):
        anchor = socket.socket()
        try:
            anchor.bind(("127.0.0.1", _FIRST + number * _BLOCK))
            anchor.listen()
        except OSError:
            anchor.close()
        else:
            return Block(anchor)
    raise RuntimeError(f"all {_BLOCKS} blocks of ports from {_FIRST} on are taken")


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
