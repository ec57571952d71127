"""What an injection costs the webhook: CPU, latency and memory, beside two reference servers in Go.

`direct` decodes generically and builds its operations directly; `typed` works as controller-runtime has
webhooks made: typed objects, encoded again, and the difference of the texts. All of them give the same Pods,
which is checked first, over TLS 1.3 and kept connections, with a log line for each review. Each server has
one core, the load the other. The rounds of all sides are interleaved.
"""

import contextlib
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonpatch

from tests.bench import reviews
from tests.bench.report import Report, Table, Target
from tests.bench.servers import DIRECT, OURS, TYPED, Seen, Server, build, make_certificate, running, template

SIDES = (OURS, DIRECT, TYPED)
CONNECTIONS = (16, 64)
ROUNDS = 5
REQUESTS = {"small": 12000, "typical": 8000, "large": 2000}
SHARE_FOR_TYPED = 5
"""The slowest side gets that much less to do."""

Key = tuple[str, int, str]
"""Size, connections, side."""


def measure(*, quick: bool) -> Report:
    """Medians of the rounds."""
    build()
    with TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        certificate = make_certificate(folder)
        given = folder / "template.json"
        body = reviews.recorded("typical").read_bytes()
        given.write_text(
            json.dumps(template(json.loads(body)["request"]["object"]["metadata"]["annotations"]))
        )
        servers = [stack.enter_context(running(name, folder, certificate, given, body)) for name in SIDES]
        _check_same_pods(servers)
        rounds = _rounds(servers, 1 if quick else ROUNDS)
        memory = {server.name: server.memory_mib() for server in servers}
        cold = _new_groups(servers, quick=quick)
        starts = {server.name: server.first_answer for server in servers}
    return _report(rounds, cold, memory, starts)


def _rounds(servers: list[Server], count: int) -> dict[Key, list[Seen]]:
    seen: dict[Key, list[Seen]] = {}
    for number in range(-1, count):  # the first one warms up
        for size in reviews.SIZES:
            for connections in CONNECTIONS:
                for server in servers:
                    requests = REQUESTS[size] // (SHARE_FOR_TYPED if server.name == TYPED else 1)
                    result = server.load(
                        reviews.recorded(size),
                        connections=connections,
                        requests=requests if number >= 0 else requests // 10,
                    )
                    if number >= 0:
                        seen.setdefault((size, connections, server.name), []).append(result)
    return seen


def _new_groups(servers: list[Server], *, quick: bool) -> dict[str, float]:
    """CPU microseconds an injection where every Pod is the first of its workload: nothing kept helps."""
    found = {}
    for server in servers:
        requests = 500 if quick else 4000
        seen = server.load(reviews.recorded("typical"), connections=16, requests=requests, groups=10**9)
        found[server.name] = _cpu(seen)
    return found


def _report(
    rounds: dict[Key, list[Seen]], cold: dict[str, float], memory: dict[str, float], starts: dict[str, float]
) -> Report:
    cpu = {key: statistics.median(_cpu(seen) for seen in found) for key, found in rounds.items()}
    p99 = {key: statistics.median(seen.p99 * 1e3 for seen in found) for key, found in rounds.items()}
    rate = {
        key: statistics.median(seen.requests / seen.seconds for seen in found)
        for key, found in rounds.items()
    }
    rows = [
        (f"{_kib(size)}, {connections} connections, {side}", cpu[key], rate[key], p99[key])
        for key in cpu
        for size, connections, side in [key]
    ]
    targets = [
        Target(f"CPU of ours / direct, {_kib(size)}", _ratio(cpu, size, DIRECT), 0.5)
        for size in ("typical", "large")
    ]
    targets += [
        Target(f"CPU of ours / typed, {_kib(size)}", _ratio(cpu, size, TYPED), 0.08)
        for size in ("typical", "large")
    ]
    targets += [
        Target(
            "p99 of ours / direct, 64 connections, typical",
            p99["typical", 64, OURS] / p99["typical", 64, DIRECT],
            0.35,
        ),
        Target("memory after the load, MiB", memory[OURS], 70),
        Target("first answer, seconds after the start", starts[OURS], 0.4),
    ]
    return Report(
        "hotpath",
        [
            Table("an injection", ("review", "CPU µs", "reviews/s", "p99 ms"), rows),
            Table(
                "each server",
                (
                    "server",
                    "first answer s",
                    "memory MiB",
                    "CPU µs where every Pod is the first of its workload",
                ),
                [(side, starts[side], memory[side], cold[side]) for side in SIDES],
            ),
        ],
        targets,
        {
            "rounds": {
                " ".join(map(str, key)): [seen._asdict() for seen in found] for key, found in rounds.items()
            }
        },
    )


def _cpu(seen: Seen) -> float:
    """Microseconds a review."""
    return seen.cpu / seen.requests * 1e6


def _ratio(figures: Mapping[Key, float], size: str, other: str) -> float:
    """Ours to another side's, both over all connections."""
    ours, others = (sum(figures[size, count, side] for count in CONNECTIONS) for side in (OURS, other))
    return ours / others


def _kib(size: str) -> str:
    return f"{reviews.recorded(size).stat().st_size / 1024:.1f} KiB"


def _check_same_pods(servers: list[Server]) -> None:
    """End the run unless every server makes the same Pod of each review."""
    for size in reviews.SIZES:
        body = reviews.recorded(size).read_bytes()
        pod = json.loads(body)["request"]["object"]
        made = {
            server.name: _without_empty(jsonpatch.apply_patch(pod, server.patch(body))) for server in servers
        }
        for name, result in made.items():
            if result != made[OURS]:
                difference = jsonpatch.make_patch(made[OURS], result).patch
                sys.exit(f"{name} makes another Pod of the {size} review than ours: {difference}")


def _without_empty(value: Any) -> Any:
    """The same document without what means nothing here, and what `typed` adds or leaves out."""
    match value:
        case dict():
            cleaned = {key: _without_empty(item) for key, item in value.items()}
            return {key: item for key, item in cleaned.items() if item not in (None, {}, "")}
        case list():
            return [_without_empty(item) for item in value]
    return value
