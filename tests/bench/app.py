"""What an application sees of Hazelcast: the demo application beside its member, and as a client of others.

Two replicas of the application, each under load from a generator on its own node: beside the members (the
sidecar), or as clients of two members on other nodes; with a near cache and without. First on loopback, where
no place is far from another; then, where this machine lets us, with a distance between the nodes. The sides
take turns, and only the application of the side that is measured runs.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hazelcast_sidecar.demo.java import find_java, member_jars
from tests.bench.network import ONE_WAY_MS, Node, apart, on_loopback, why_not_apart
from tests.bench.report import Report, Table, Target
from tests.harness.procfs import cpu_seconds
from tests.hazelcast.conftest import Launcher, Program, load_app

ROUNDS = 4
SECONDS, QUICK_SECONDS = 1.0, 0.5
CONNECTIONS = 8
"""Of each generator; there are two."""

ROOT = Path(__file__).parents[2]
CALLS = ("/get", "/put")
HIT_MICROSECONDS = 10.0
_UP_SECONDS = 240
_END = 5


class Side(NamedTuple):
    """Where the members are, and whether the applications have a near cache."""

    beside: bool
    near_cache: bool

    def __str__(self) -> str:
        place = "sidecar" if self.beside else "separate"
        return f"{place}, near cache" if self.near_cache else place


SIDES = [Side(beside, near_cache) for near_cache in (False, True) for beside in (True, False)]


class Seen(NamedTuple):
    """One run: milliseconds as the generators saw them, and CPU microseconds a request of each part."""

    rate: float
    p50: float
    p99: float
    alone: float
    """The median with one connection each: nobody waits for another request."""
    app: float
    members: float
    generators: float


@dataclass
class Place:
    """Two nodes with an application each, the first two; members beside these, and on two more."""

    nodes: Sequence[Node]
    launcher: Launcher
    members: dict[bool, list[Program]]
    """By whether they are beside the applications."""

    @contextlib.contextmanager
    def apps(self, side: Side) -> Iterator[list[Program]]:
        """Run the two applications of a side, connected to both members."""
        near_cache = {"HAZELCAST_NEAR_CACHE": str(side.near_cache).lower(), "DRAIN_SECONDS": "0"}
        apps = [
            self.launcher.app(node.address, member=member.address, **near_cache)
            for node, member in zip(self.nodes, self.members[side.beside], strict=False)
        ]
        try:
            for app in apps:
                _until(app, "connected to", "Members {size:2}")
            time.sleep(1)  # a client opens its connection to the second member up to a second later
            yield apps
        finally:
            for app in apps:
                app.end(seconds=_END)

    def load(self, call: str, seconds: float, connections: int = CONNECTIONS) -> list[dict[str, Any]]:
        """Send calls to both applications at the same time, each from its own node."""
        words = [sys.executable, "-m", "tests.bench.http_load", call]
        options = ["--seconds", str(seconds), "--connections", str(connections)]
        running = [
            subprocess.Popen(
                [*node.prefix, *words, node.address, "5000", *options], cwd=ROOT, stdout=subprocess.PIPE
            )
            for node in self.nodes[:2]
        ]
        try:
            texts = [program.communicate(timeout=seconds + _UP_SECONDS)[0] for program in running]
        finally:
            for program in running:
                program.kill()
        if any(program.returncode for program in running):
            sys.exit("make bench: the load generator failed")
        return [json.loads(text) for text in texts]


def measure(*, quick: bool) -> Report:
    """The best of the rounds, on loopback and with a distance."""
    places: dict[str, dict[tuple[Side, str], list[Seen]]] = {}
    with _running(on_loopback(4)) as place:
        places["loopback"] = _rounds(place, quick=quick)
        hit = asyncio.run(_in_process(place, 3 if quick else 20))
    obstacle = why_not_apart()
    if not obstacle:
        with _running(apart(4)) as place:
            places[f"{2 * ONE_WAY_MS:g} ms"] = _rounds(place, quick=quick)
    return _report(places, hit, obstacle)


@contextlib.contextmanager
def _running(nodes: contextlib.AbstractContextManager[list[Node]]) -> Iterator[Place]:
    """Start both clusters on these nodes, two members each."""
    with TemporaryDirectory() as folder, nodes as found:
        launcher = Launcher(Path(folder), find_java(), member_jars())
        launcher.within = {node.address: node.prefix for node in found}
        try:
            members = {}
            for beside, group in ((True, found[:2]), (False, found[2:])):
                addresses = [node.address for node in group]
                # As injected, without the option by which the tests' members start sooner and run slower.
                members[beside] = [
                    launcher.member(address, group=addresses, given={"java_opts": ""})
                    for address in addresses
                ]
            for member in (*members[True], *members[False]):
                _until(member, "Members {size:2")
            yield Place(found, launcher, members)
        finally:
            launcher.stop()


def _until(program: Program, *lines: str) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while not all(line in program.log.read_text() for line in lines):
        program.must_run()
        if time.monotonic() > deadline:
            sys.exit(f"make bench: {program.log.read_text()}\nnot within {_UP_SECONDS} s: {lines}")
        time.sleep(0.05)


def _rounds(place: Place, *, quick: bool) -> dict[tuple[Side, str], list[Seen]]:
    seen: dict[tuple[Side, str], list[Seen]] = {}
    seconds = QUICK_SECONDS if quick else SECONDS
    for number in range(1) if quick else range(-1, ROUNDS):  # -1: the members warm up
        for side in SIDES:
            with place.apps(side) as apps:
                place.load("/put", seconds)  # every key has a value, and the application is warm
                for call in CALLS:
                    result = _run(place, side, apps, call, seconds)
                    if number >= 0:
                        seen.setdefault((side, call), []).append(result)
    return seen


def _run(place: Place, side: Side, apps: list[Program], call: str, seconds: float) -> Seen:
    parts = (apps, place.members[side.beside])
    before = [_cpu(part) for part in parts]
    found = place.load(call, seconds)
    app, members = (_cpu(part) - cpu for part, cpu in zip(parts, before, strict=True))
    times = _times(found)
    alone = _times(place.load(call, seconds, connections=1))
    each = 1e6 / len(times)
    return Seen(
        rate=sum(len(one["times"]) / one["seconds"] for one in found),
        p50=times[len(times) // 2] / 1e6,
        p99=times[len(times) * 99 // 100] / 1e6,
        alone=alone[len(alone) // 2] / 1e6,
        app=app * each,
        members=members * each,
        generators=sum(one["cpu"] for one in found) * each,
    )


def _times(found: list[dict[str, Any]]) -> list[int]:
    """Of all answers, the shortest first."""
    return sorted(nanoseconds for one in found for nanoseconds in one["times"])


def _cpu(programs: Sequence[Program]) -> float:
    return sum(cpu_seconds(program.popen.pid) for program in programs)


async def _in_process(place: Place, rounds: int) -> dict[str, list[float]]:
    """CPU microseconds of one get in this program, in turns: the application's code, the client's."""
    cluster_of, parse_settings = load_app("cluster").Cluster, load_app("settings").parse_settings
    address = place.members[True][0].address
    found: dict[str, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        calls: dict[str, Callable[[str], Any]] = {}
        for near_cache in (True, False):
            settings = {
                "HAZELCAST_ADDRESS": f"{address}:5701",
                "HAZELCAST_NEAR_CACHE": str(near_cache).lower(),
            }
            cluster = cluster_of(parse_settings(settings))
            connecting = asyncio.create_task(cluster.stay_connected())
            stack.push_async_callback(_ended, connecting)
            entries = await _entries(cluster)
            kind = "hit" if near_cache else "asked"
            calls |= {f"{kind}, application": cluster.get, f"{kind}, client": entries.get}
        for _ in range(rounds):
            for name, call in calls.items():
                count = 5000 if name.startswith("hit") else 500
                await call("key-0")
                began = time.process_time()
                for _ in range(count):
                    await call("key-0")
                found.setdefault(name, []).append((time.process_time() - began) / count * 1e6)
    return found


async def _entries(cluster: Any) -> Any:
    """The client's map, once there is a connection."""
    async with asyncio.timeout(_UP_SECONDS):
        while cluster._link is None:  # noqa: ASYNC110, SLF001 (no other word of it, and no name for it)
            await asyncio.sleep(0.1)
    return cluster._link.entries  # noqa: SLF001


async def _ended(connecting: asyncio.Task[None]) -> None:
    while not connecting.done():
        connecting.cancel()
        await asyncio.wait([connecting], timeout=0.1)


def _report(
    places: dict[str, dict[tuple[Side, str], list[Seen]]], hit: dict[str, list[float]], obstacle: str | None
) -> Report:
    # What is worse than the best round is other programs' work on the same processors.
    best = {
        (distance, *key): Seen(max(run.rate for run in runs), *map(min, list(zip(*runs, strict=True))[1:]))
        for distance, found in places.items()
        for key, runs in found.items()
    }
    columns = (
        "where",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "alone, p50 ms",
        "app CPU µs",
        "members' CPU µs",
        "generators' CPU µs",
    )
    missing = f" (no distance between nodes: {obstacle})" if obstacle else ""
    tables = [
        Table(
            f"{call}, {2 * CONNECTIONS} connections (alone: 2); CPU of a request; best of rounds{missing}",
            columns,
            [(f"{at}, {side}", *seen) for (at, side, its), seen in best.items() if its == call],
        )
        for call in CALLS
    ]
    cost = {name: min(figures) for name, figures in hit.items()}
    tables.append(
        Table("one get in process, CPU, the least of the rounds", ("get", "µs"), list(cost.items()))
    )
    targets = [
        Target(
            "near-cache hit in process, the application's code, µs",
            cost["hit, application"],
            HIT_MICROSECONDS,
        ),
        Target(
            "near-cache hit / asking a member", cost["hit, application"] / cost["asked, application"], 0.25
        ),
    ]
    details = {
        "rounds": {
            distance: {
                f"{side} {call}": [run._asdict() for run in runs] for (side, call), runs in found.items()
            }
            for distance, found in places.items()
        },
        "in process": hit,
    }
    return Report("app", tables, targets, details)
