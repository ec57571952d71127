"""What it costs the controller to ask the members of many groups whether they are one cluster.

The detector runs in this process as the leader runs it, on uvloop, with all groups in its index; members are
one port of another process. CPU is this process's own, and so is memory.
"""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from os import getpid
from typing import Any, NamedTuple, cast

import msgspec
import uvloop

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Standing
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.controller.splits.member_client import MemberClient
from hazelcast_sidecar.controller.splits.member_pods import MemberPods
from hazelcast_sidecar.controller.splits.split_detector import SplitDetector
from hazelcast_sidecar.controller.splits.split_metrics import SplitMetrics
from hazelcast_sidecar.group_objects.desired_objects import GroupWorkload
from hazelcast_sidecar.members.running_pod import RunningPod
from hazelcast_sidecar.members.view import MAX_ANSWER, MEMBERS_PATH
from tests.bench.report import Report, Table
from tests.harness.procfs import memory_mib
from tests.unit.snapshots import injected

MEMBERS, NAMESPACES = 3, 10
HERE = "127.0.0.1"
FIRST_LOOKS_SECONDS = 35
"""Until each group has been looked at once."""

HEALTH = {"nodeState": "ACTIVE", "clusterState": "ACTIVE", "clusterSafe": True, "migrationQueueSize": 0}
LISTED = [
    {
        "address": f"[10.244.0.{number}]:5701",
        "liteMember": False,
        "localMember": number == 1,
        "uuid": f"14a88fd9-64d0-4e0c-9e33-37772632000{number}",
        "memberVersion": "5.7.0",
    }
    for number in range(1, MEMBERS + 1)
]
SHORTEST = [{"address": f"{number:05}"} for number in range(MAX_ANSWER // 21)]
"""As many members as fit into an answer."""


class Case(NamedTuple):
    """Members of some behaviour."""

    name: str
    groups: int
    members: list[dict[str, Any]] | None
    """What they list; None: they take connections, and never answer."""


CASES = (
    Case("three members each", 100, LISTED),
    Case("three members each", 1000, LISTED),
    Case("the same, none answers", 1000, None),
    Case("the same, the longest lists", 1000, SHORTEST),
)


def serve(case: Case, port: Connection) -> None:
    """Answer as members do, in a process of its own."""
    listed = json.dumps({"members": case.members}, separators=(",", ":")).encode()
    assert len(listed) <= MAX_ANSWER
    health = json.dumps(HEALTH | {"clusterSize": MEMBERS}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if case.members is not None:
                    body = listed if MEMBERS_PATH.encode() in head else health
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, HERE, 0, backlog=1000)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@contextmanager
def members_of(case: Case) -> Iterator[int]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(case, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class Pods:
    """Where the members are, as a watch would have found out."""

    def __init__(self) -> None:
        self.known: dict[str, RunningPod] = {}
        self.get = self.known.get
        self.synced = asyncio.Event()
        self.synced.set()

    async def run(self) -> None:
        await asyncio.Event().wait()


def ignore(*_: object, **__: object) -> None:
    """Log nothing."""


def indexed(case: Case, port: int) -> tuple[Groups, Pods]:
    groups, pods = Groups(ignore), Pods()
    watched = WatchedPods(groups, ignore)
    for number in range(case.groups):
        for each in range(MEMBERS):
            metadata = injected(f"{number}-{each}", f"ns{number % NAMESPACES}", group=f"g{number}", port=port)
            watched.upsert(metadata)
            ready = [{"name": "hazelcast", "ready": True}]
            state = {"phase": "Running", "podIP": HERE, "initContainerStatuses": ready}
            document = {"metadata": {"name": metadata.name}, "status": state}
            pods.known[metadata.uid] = msgspec.convert(document, RunningPod)
    for key in groups.keys():  # noqa: SIM118 - no mapping
        for bearers, _, _ in groups.doubtful(key):
            owner = bearers.claim.owner
            groups.believe(bearers, Standing(owner, GroupWorkload(owner.uid, owner.name, scalable=True)))
    return groups, pods


async def watched(case: Case, port: int, seconds: float) -> tuple[float, float]:
    """Return how many members were asked a second, and the part of a core that it took."""
    groups, pods = indexed(case, port)
    client = MemberClient()
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    detector = SplitDetector(
        groups,
        cast("MemberPods", pods),
        client,
        seconds=60,
        metrics=SplitMetrics(),
        log=ignore,
        recorder=cast("Recorder", None),
        faults=Faults(metrics, ignore),
    )
    work = asyncio.ensure_future(detector.work())
    await asyncio.sleep(FIRST_LOOKS_SECONDS)
    asked, cpu, began = client.asked, time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    found = (client.asked - asked) / took, (time.process_time() - cpu) / took
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return found


def measure(*, quick: bool) -> Report:
    """Watch groups for a minute in each case."""
    rows = []
    for case in CASES[:2] if quick else CASES:
        with members_of(case) as port:
            asked, core = uvloop.run(watched(case, port, 10 if quick else 60))
        cpu = 1e6 * core / asked
        rows.append((case.name, f"{case.groups:,}", asked, 100 * core, cpu, memory_mib(getpid(), "VmHWM")))
    columns = ("groups of", "groups", "members asked/s", "% of a core", "CPU µs a member", "MiB at most")
    return Report("splits", [Table("Groups are watched (--watch-groups)", columns, rows)])
