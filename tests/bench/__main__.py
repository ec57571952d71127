"""`make bench`: measures one part after the other, prints tables and writes build/bench/PART.json.

Figures of one run are compared with each other only: sides are interleaved, and absolute times of two
machines, or of two hours on one, mean little.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console

from tests.bench.report import Report

PARTS = {
    "start": "how long commands take to start",
    "hotpath": "what an injection costs the webhook, beside two servers in Go",
    "apiserver": "what a webhook costs the API server, and what the exported policy does",
}
RESULTS = Path(__file__).parents[2] / "build" / "bench"


def main() -> int:
    """Measure the named parts (all of them by default); 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=(__doc__ or "").partition("\n")[0])
    parts = "; ".join(f"{name}: {text}" for name, text in PARTS.items())
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], default=[], help=parts)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, to try the bench itself")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    RESULTS.mkdir(parents=True, exist_ok=True)
    missed = False
    for part in options.part or PARTS:
        console.print(f"[bold]{part}[/bold]: {PARTS[part]}")
        report: Report = importlib.import_module(f"tests.bench.{part}").measure(quick=options.quick)
        (RESULTS / f"{part}.json").write_text(json.dumps(report.as_json(), indent=2) + "\n")
        report.show(console)
        missed |= not all(target.is_met for target in report.targets)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
