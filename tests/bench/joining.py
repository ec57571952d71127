"""Which image and which settings split clusters least: ten replicas at once, alone and beside ten others.

What `formation` measures for the fast image, for the stock one with several settings. Alone, a round has the
machine to itself; under load another ten start in the same moment. What is looked for is rare, so a round is
written down when it ends (build/bench/joining-rounds.jsonl), and a run that was stopped goes on from there.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from hazelcast_sidecar.group_objects.desired_objects import HAZELCAST_YAML, JAVA_SECURITY
from hazelcast_sidecar.names import CONFIG_KEY, SECURITY_KEY
from tests.bench.cluster import Pods, images, injector
from tests.bench.formation import REPLICAS, Round, form, idle
from tests.bench.member import STOCK_IMAGE, Document, annotated, named, spread
from tests.bench.report import Report, Table
from tests.e2e.conftest import namespace

ROUNDS = 20
SETTINGS = "settings"
NOT_COMPARED = "-Dhazelcast.config.schema.validation.enabled=false"
"""With the schema; nor is the file where it is the group's own. 5.5.0 has not heard of all that it says."""
WRITTEN = Path(__file__).parents[2] / "build" / "bench" / "joining-rounds.jsonl"
LOADS = {False: "alone", True: f"beside {REPLICAS} others that start"}

ASKING = "connection-timeout-seconds: {}"
PROPERTIES = "  properties:\n"
HEARTBEAT = "    hazelcast.max.no.heartbeat.seconds: 30\n"
SHIPPED_SECONDS = 3
"""How long members ask each other for a master before one claims to be it."""

Change = tuple[str, str]


def asking(seconds: int) -> Change:
    """Another time."""
    return ASKING.format(SHIPPED_SECONDS), ASKING.format(seconds)


class Variant(NamedTuple):
    """An image with a configuration."""

    title: str
    image: Callable[[], str]
    changes: Sequence[Change] = ()
    """Texts of our own configuration, and what stands there instead."""

    @property
    def configuration(self) -> str:
        """The member's configuration file."""
        text = HAZELCAST_YAML
        for old, new in self.changes:
            assert old in text, f"not in hazelcast.yaml: {old}"
            text = text.replace(old, new)
        return text


def stock() -> str:
    """The image that is the default."""
    return STOCK_IMAGE


VARIANTS = {
    "asks1": Variant("stock 5.7.0, asks 1 s", stock, [asking(1)]),
    "asks3": Variant("stock 5.7.0, asks 3 s", stock),
    "asks5": Variant("stock 5.7.0, asks 5 s", stock, [asking(5)]),
    "heals": Variant(
        "stock 5.7.0, asks 1 s, max.no.heartbeat 30",
        stock,
        [asking(1), (PROPERTIES, PROPERTIES + HEARTBEAT)],
    ),
    "older": Variant("stock 5.5.0, asks 1 s", lambda: "hazelcast/hazelcast:5.5.0", [asking(1)]),
    "fast": Variant("image of `member/`, asks 1 s", lambda: images().member),
}


class Written(NamedTuple):
    """A line of the file."""

    variant: str
    loaded: bool
    number: int
    """Of the sweep that it belongs to; in one sweep each variant has a round alone and one under load."""
    round: Round


def measure(*, quick: bool) -> Report:
    """Rounds of all variants, as many of one as of the other, and a table of what they did."""
    WRITTEN.parent.mkdir(parents=True, exist_ok=True)
    done = {(one.variant, one.loaded, one.number) for one in written()}
    with ExitStack() as stack:
        demo = stack.enter_context(injector())
        pods = {name: Pods(stack.enter_context(namespace(f"joining-{name}")).namespace) for name in VARIANTS}
        for name, each in pods.items():
            each.kubectl.apply(configured(VARIANTS[name]))
        for number in range(1 if quick else ROUNDS):
            for names, loaded in together(number):
                if missing := [name for name in names if (name, loaded, number) not in done]:
                    for line in rounds(missing, number, pods, demo, loaded=loaded):
                        write(line)
    return _report(list(written()))


def together(number: int) -> Iterator[tuple[Sequence[str], bool]]:
    """Yield the variants of a sweep that start at once: each alone, then each with another one.

    Whom a variant shares the machine with is drawn for each sweep.
    """
    names = list(VARIANTS)
    random.Random(number).shuffle(names)  # noqa: S311 - the same pairs in every run
    yield from (([name], False) for name in names)
    yield from ((names[first : first + 2], True) for first in range(0, len(names), 2))


def rounds(
    names: Sequence[str], number: int, pods: dict[str, Pods], demo: Document, *, loaded: bool
) -> list[Written]:
    """Rounds of these variants in the same moment."""

    def one(name: str) -> Written:
        given = {
            "image": VARIANTS[name].image(),
            "config": SETTINGS,
            "java_opts": NOT_COMPARED,
            "shutdown_timeout": "1s",
            # So that twice as many fit on a machine of two processors, and none waits for another to end.
            "cpu_request": "10m",
            "memory_request": "256Mi",
        }
        deployment = idle(
            annotated(named(demo, f"{name}-{'loaded' if loaded else 'alone'}-{number}"), **given)
        )
        return Written(name, loaded, number, form(pods[name], deployment, [0.0] * REPLICAS))

    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(one, names))


def configured(variant: Variant) -> Document:
    """The ConfigMap with a variant's settings."""
    data = {CONFIG_KEY: variant.configuration, SECURITY_KEY: JAVA_SECURITY}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SETTINGS}, "data": data}


def written() -> Iterator[Written]:
    """Yield the rounds so far."""
    if WRITTEN.exists():
        for text in WRITTEN.read_text().splitlines():
            line: dict[str, Any] = json.loads(text)
            yield Written(**line | {"round": Round(**line["round"])})


def write(line: Written) -> None:
    """Add a round to the file."""
    with WRITTEN.open("a") as file:
        file.write(json.dumps(line._asdict() | {"round": asdict(line.round)}) + "\n")


def _report(lines: Sequence[Written]) -> Report:
    columns = (
        f"{REPLICAS} replicas at once",
        "one cluster",
        "more founders",
        "merges",
        "warnings",
        "knew no master",
        "s until all know all",
        "s until safe",
    )
    tables = [
        Table(
            title,
            columns,
            [
                _row(variant, seen)
                for name, variant in VARIANTS.items()
                if (seen := [one.round for one in lines if (one.variant, one.loaded) == (name, loaded)])
            ],
        )
        for loaded, title in LOADS.items()
    ]
    return Report("joining", tables)


def _row(variant: Variant, seen: Sequence[Round]) -> tuple[str | float, ...]:
    return (
        variant.title,
        f"{sum(one.is_one_cluster for one in seen)} of {len(seen)}",
        sum(one.founders > 1 for one in seen),
        sum(one.merges for one in seen),
        sum(one.forgetting for one in seen),
        sum(one.refusing for one in seen),
        spread([one.seconds for one in seen if one.seconds is not None]),
        spread([one.safe_seconds for one in seen if one.safe_seconds is not None]),
    )
