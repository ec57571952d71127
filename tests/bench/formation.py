"""Whether speed splits clusters: ten replicas that start at once, or from 0 to 15 s apart, form one cluster.

A member that finds nobody founds a cluster, and logs a list of one. So in each round exactly one member may
have logged one; a second founder is a split, also where a merge heals it later. Merges are counted beside it.
"""

import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from hazelcast_sidecar.members.view import HEALTH_PATH, Health
from tests.bench.cluster import Line, Pods, first_list, images, injector, log
from tests.bench.member import Document, annotated, named, spread
from tests.bench.report import Report, Table, Target
from tests.e2e.conftest import namespace
from tests.e2e.kubectl import Kubectl, KubectlError

REPLICAS = 10
APART_SECONDS = 15.0
ROUNDS = {"together": 20, "apart": 10}
TITLES = {"together": "at once", "apart": f"0 to {APART_SECONDS:g} s apart"}
WHOLE_SECONDS = 300
"""Until a cluster that split has merged, and the merges can be counted."""

LOGS = Path(__file__).parents[2] / "build" / "bench" / "formation"
MERGED = re.compile(r"is MERGED$")
FORGETS = re.compile(r"Cannot set master address to null because node is already joined")
"""A member is where that of an unpatched 5.6.0 or 5.7.0 forgets its master (docs/decisions/0024)."""
REFUSES = re.compile(r"is not known master: null")
"""And it did: it takes no list of its cluster."""
# In the application's place: what ends at once when it is told to.
IDLE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"


@dataclass(frozen=True)
class Round:
    """What the members of one round did."""

    founders: int
    """Members that founded a cluster; more than one is a split."""
    merges: int
    forgetting: int
    """Members that were where an unpatched one forgets its master."""
    refusing: int
    """Members that knew no master and refused lists."""
    seconds: float | None
    """From the last Pod scheduled to the last member's list of all; None: some never had it."""
    safe_seconds: float | None
    """Until each member says that it is one of all, and that their cluster is safe; None: never."""

    @property
    def is_one_cluster(self) -> bool:
        """Tell whether it was one from the beginning."""
        return self.founders == 1 and not self.merges and not self.refusing and self.seconds is not None


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
            f"{sum(one.is_one_cluster for one in seen)} of {len(seen)}",
            sum(one.merges for one in seen),
            sum(one.forgetting for one in seen),
            spread([one.seconds for one in seen if one.seconds is not None]),
        )
        for kind, seen in rounds.items()
    ]
    columns = (
        f"{REPLICAS} replicas, started",
        "one cluster",
        "merges",
        "masters that would have been forgotten",
        "seconds until all know all",
    )
    everything = [one for seen in rounds.values() for one in seen]
    targets = [
        Target("most founders of a round", max(one.founders for one in everything), 1),
        Target("merges", sum(one.merges for one in everything), 0),
        Target("members that know no master", sum(one.refusing for one in everything), 0),
        Target("rounds that were never one cluster", sum(one.safe_seconds is None for one in everything), 0),
    ]
    details = {kind: [asdict(one) for one in seen] for kind, seen in rounds.items()}
    return Report("formation", [Table("members of the fast image", columns, rows)], targets, details)


def form(pods: Pods, deployment: Document, starts: Sequence[float]) -> Round:
    """Start replicas at these seconds, wait until they are one safe cluster, take them away again."""
    name = deployment["metadata"]["name"]
    begun = time.monotonic()
    for number, start in enumerate(starts, 1):
        if number == len(starts) or starts[number] > start:
            time.sleep(max(0.0, begun + start - time.monotonic()))
            deployment["spec"]["replicas"] = number
            pods.kubectl.apply(deployment)
    with suppress(AssertionError):  # a member that is never ready is a result, too
        pods.of(name, len(starts), seconds=WHOLE_SECONDS)
    names = pods.names(name)
    scheduled = max(pods.seen[pod].scheduled or 0 for pod in names)
    safe = safe_at(pods.kubectl, names)
    logs = [log(pods.kubectl, pod) for pod in names]
    lists = [at for lines in logs if (at := first_list(lines, len(starts)))]
    one = Round(
        founders=sum(first_list(lines, 1) is not None for lines in logs),
        merges=saying(logs, MERGED),
        forgetting=saying(logs, FORGETS),
        refusing=saying(logs, REFUSES),
        seconds=max(lists) - scheduled if len(lists) == len(starts) else None,
        safe_seconds=safe - scheduled if safe else None,
    )
    if not one.is_one_cluster or one.forgetting:
        keep(name, logs)
    pods.remove(name)
    return one


def safe_at(kubectl: Kubectl, pods: Sequence[str]) -> float | None:
    """Wait until each member says that its cluster has them all and is safe; when, in seconds since 1970."""
    end = time.monotonic() + WHOLE_SECONDS
    waiting = list(pods)
    while waiting and time.monotonic() < end:
        waiting = [pod for pod in waiting if not is_safe(kubectl, pod, len(pods))]
        if waiting:
            time.sleep(1)
    return None if waiting else time.time()


def is_safe(kubectl: Kubectl, pod: str, size: int) -> bool:
    """Whether a member says that its cluster has this many members and is safe."""
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}:5701/proxy{HEALTH_PATH}"
    try:
        health = msgspec.json.decode(kubectl("get", f"--raw={path}"), type=Health)
    except (KubectlError, msgspec.DecodeError):
        return False
    return health.cluster_safe and health.cluster_size == size


def saying(logs: Sequence[Sequence[Line]], what: re.Pattern[str]) -> int:
    """Count the members that logged this."""
    return sum(any(what.search(line.text) for line in lines) for lines in logs)


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
