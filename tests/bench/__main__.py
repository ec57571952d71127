"""`make bench`: measures one part after the other, prints tables and writes build/bench/PART.json.

Figures of one run are compared with each other only: sides are interleaved, and absolute times of two
machines, or of two hours on one, mean little.
"""

import argparse
import importlib
import json
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from tests.bench import cluster
from tests.bench.report import Report


class Part(NamedTuple):
    """A file of this folder that measures something."""

    what: str
    on_cluster: bool = False
    """Whether it installs things on the cluster that KUBECONFIG names; then it runs only when asked for."""


PARTS = {
    "start": Part("how long commands take to start"),
    "hotpath": Part("what an injection costs the webhook, beside two servers in Go"),
    "app": Part("what an application sees, beside its member and against a separate cluster"),
    "growth": Part("what more Pods cost the controller, and larger ones the webhook"),
    "splits": Part("what it costs to ask the members of many groups whether they are one cluster"),
    "manifests": Part("what it costs to rewrite 5 MB of manifests, beside kubectl reading them"),
    "apiserver": Part("what a webhook costs the API server, and what the exported policy does"),
    "member": Part("how long a Pod takes to have a member and a ready application", on_cluster=True),
    "losses": Part(
        "how many entries are lost when Pods come and go, beside the guide's way", on_cluster=True
    ),
    "formation": Part("whether members that start together form one cluster", on_cluster=True),
    "joining": Part("which image and which settings split clusters least, in hours", on_cluster=True),
}
ON_CLUSTER = " (on the cluster that KUBECONFIG names, and only when asked for)"
_TERMINATED = 128 + signal.SIGTERM
RESULTS = Path(__file__).parents[2] / "build" / "bench"


def main() -> int:
    """Measure the named parts; 1 where a target was missed, 2 where something that a part needs is not there.

    Without names: all that need nothing but this machine.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that what was started is stopped
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=(__doc__ or "").partition("\n")[0])
    parts = "; ".join(
        f"{name}: {part.what}{ON_CLUSTER if part.on_cluster else ''}" for name, part in PARTS.items()
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], default=[], help=parts)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, to try the bench itself")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    RESULTS.mkdir(parents=True, exist_ok=True)
    missed = False
    names = options.part or [name for name, part in PARTS.items() if not part.on_cluster]
    on_cluster = [name for name in names if PARTS[name].on_cluster]
    if on_cluster and (reason := cluster.unmet()):
        sys.stderr.write(f"error: {', '.join(on_cluster)}: {reason}\n")
        return 2
    for part in names:
        console.print(f"[bold]{part}[/bold]: {PARTS[part].what}")
        report: Report = importlib.import_module(f"tests.bench.{part}").measure(quick=options.quick)
        (RESULTS / f"{part}.json").write_text(json.dumps(report.as_json(), indent=2) + "\n")
        report.show(console)
        missed |= not all(target.is_met for target in report.targets)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
