"""Whether speed splits clusters: ten replicas that start at once, or from 0 to 15 s apart, form one cluster.

A member that finds nobody founds a cluster, and logs a list of one. So in each round exactly one member may
have logged one; a second founder is a split, also where a merge heals it later. Merges are counted beside it.
"""

import random
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.cluster import Line, Pods, first_list, images, injector, log
from tests.bench.member import Document, annotated, named, spread
from tests.bench.report import Report, Table, Target
from tests.e2e.conftest import namespace
from tests.e2e.kubectl import until

REPLICAS = 10
APART_SECONDS = 15.0
ROUNDS = {"together": 20, "apart": 10}
TITLES = {"together": "at once", "apart": f"0 to {APART_SECONDS:g} s apart"}
MERGE_SECONDS = 180
"""Until a cluster that split has merged, and the merges can be counted."""

LOGS = Path(__file__).parents[2] / "build" / "bench" / "formation"
MERGED = re.compile(r"is MERGED$")
# In the application's place: what ends at once when it is told to.
IDLE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"


@dataclass(frozen=True)
class Round:
    """What the members of one round did."""

    founders: int
    """Members that founded a cluster; more than one is a split."""
    merges: int
    seconds: float
    """From the last Pod scheduled to the last member's list of all."""


def measure(*, quick: bool) -> Report:
    """Founders, merges and the time, for both kinds of starts."""
    dice = random.Random(7)  # noqa: S311 - the same starts in every run
    rounds: dict[str, list[Round]] = {kind: [] for kind in ROUNDS}
    with injector() as demo, namespace("bench-formation") as kubectl:
        pods = Pods(kubectl.namespace)
        for kind, count in ROUNDS.items():
            for number in range(2 if quick else count):
                apart = [dice.uniform(0, APART_SECONDS) for _ in range(REPLICAS)]
                starts = sorted(apart) if kind == "apart" else [0.0] * REPLICAS
                given = {"image": images().member, "shutdown_timeout": "1s"}  # nothing to hand over
                deployment = annotated(named(demo, f"{kind}-{number}"), **given)
                rounds[kind].append(form(pods, idle(deployment), starts))
    return _report(rounds)


def _report(rounds: dict[str, list[Round]]) -> Report:
    rows = [
        (
            TITLES[kind],
            f"{sum(one.founders == 1 for one in seen)} of {len(seen)}",
            sum(one.merges for one in seen),
            spread([one.seconds for one in seen]),
        )
        for kind, seen in rounds.items()
    ]
    columns = (f"{REPLICAS} replicas, started", "one cluster", "merges", "seconds until all know all")
    everything = [one for seen in rounds.values() for one in seen]
    targets = [
        Target("most founders of a round", max(one.founders for one in everything), 1),
        Target("merges", sum(one.merges for one in everything), 0),
    ]
    details = {kind: [asdict(one) for one in seen] for kind, seen in rounds.items()}
    return Report("formation", [Table("members of the fast image", columns, rows)], targets, details)


def form(pods: Pods, deployment: Document, starts: Sequence[float]) -> Round:
    """Start replicas at these seconds, wait until they are one cluster, take them away again."""
    name = deployment["metadata"]["name"]
    begun = time.monotonic()
    for number, start in enumerate(starts, 1):
        if number == len(starts) or starts[number] > start:
            time.sleep(max(0.0, begun + start - time.monotonic()))
            deployment["spec"]["replicas"] = number
            pods.kubectl.apply(deployment)
    names = pods.of(name, len(starts))

    def all_know_all() -> list[float] | None:
        found = [first_list(log(pods.kubectl, pod), len(starts)) for pod in names]
        return [seen for seen in found if seen] if all(found) else None

    known = until(MERGE_SECONDS, f"{name}: each member logs {len(starts)}", all_know_all)
    logs = [log(pods.kubectl, pod) for pod in names]
    scheduled = max(pods.seen[pod].scheduled or 0 for pod in names)
    founders = sum(first_list(lines, 1) is not None for lines in logs)
    if founders > 1:
        keep(name, logs)
    pods.remove(name)
    return Round(
        founders=founders,
        merges=sum(bool(MERGED.search(line.text)) for lines in logs for line in lines),
        seconds=max(known) - scheduled,
    )


def keep(name: str, logs: Sequence[Sequence[Line]]) -> None:
    """Write what explains a split to build/bench."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for number, lines in enumerate(logs):
        (LOGS / f"{name}-{number}.log").write_text(
            "".join(f"{line.time:.3f} {line.text}\n" for line in lines)
        )


def idle(deployment: Document) -> Document:
    """Its application does nothing: the machine belongs to the members."""
    spec = deployment["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 1
    (container,) = spec["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        del container[probe]
    container["command"] = ["python", "-c", IDLE]
    return deployment
