"""Sends gets or puts to one demo application over kept connections, and prints what it saw as JSON.

A program of its own, so that its cost is not the application's; it says how much CPU it took itself.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from typing import cast

import uvloop

VALUE = "v" * 100
ANSWER_SECONDS = 20
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One request after the other, until the time is up.

    Args:
        requests: what to send.
        deadline: of `time.perf_counter_ns`.
        times: takes how long each answer took, in nanoseconds.
    """

    def __init__(self, requests: Iterator[bytes], deadline: int, times: list[int]) -> None:
        self._requests, self._deadline, self._times = requests, deadline, times
        self._received = b""
        self._transport: asyncio.Transport
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        """Go on when the answer is complete; anything but 200 ends the run."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length and len(body) < int(length[1])):
            return
        self._times.append(time.perf_counter_ns() - self._began)
        self._received = b""
        if not head.startswith(b"HTTP/1.1 200 ") or not length:
            self.ended.set_exception(SystemExit(f"unexpected answer: {(head + body)[:500]!r}"))
        elif time.perf_counter_ns() < self._deadline:
            self._send()
        else:
            self.ended.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Before the end of the run that is a fault."""
        if not self.ended.done():
            self.ended.set_exception(exc or SystemExit("the application closed a connection"))

    def _send(self) -> None:
        self._began = time.perf_counter_ns()
        self._transport.write(next(self._requests))


def requests_of(path: str, host: str, keys: int, seed: int) -> Iterator[bytes]:
    """Requests for keys at random, always in the same order."""
    rest = f"&value={VALUE}" if path == "/put" else ""
    texts = [
        f"GET {path}?key=key-{key}{rest} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for key in range(keys)
    ]
    draw = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        yield texts[draw.randrange(keys)]


async def run(options: argparse.Namespace) -> dict[str, float | list[int]]:
    """Times in nanoseconds, sorted; `cpu` and `seconds` are of the whole run."""
    loop, times = asyncio.get_running_loop(), list[int]()
    began, before = time.perf_counter_ns(), time.process_time()
    deadline = began + int(options.seconds * 1e9)
    connections: list[Connection] = []
    for seed in range(options.connections):
        requests = requests_of(options.path, options.host, options.keys, seed)
        _, connection = await loop.create_connection(
            lambda requests=requests: Connection(requests, deadline, times),  # type: ignore[misc]
            options.host,
            options.port,
        )
        connections.append(connection)
    async with asyncio.timeout(options.seconds + ANSWER_SECONDS):
        await asyncio.gather(*(connection.ended for connection in connections))
    seconds = (time.perf_counter_ns() - began) / 1e9
    return {"seconds": seconds, "cpu": time.process_time() - before, "times": sorted(times)}


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", choices=["/get", "/put"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--keys", type=int, default=1000)
    json.dump(uvloop.run(run(parser.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()
