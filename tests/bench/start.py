"""How long the commands take to start: what a person waits for, and what a Pod's start pays.

Every run is a new interpreter, wall clock and CPU, beside an empty one (`python -c pass`) in the same rounds.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.report import Report, Table, Target

ROUNDS = 15
COMMAND = Path(sys.executable).parent / "hazelcast-sidecar"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: shop, annotations: {sidecar.hazelcast.com/inject: "true"}}
spec: {containers: [{name: app, image: app}]}
"""
START_SECONDS = 0.3


def measure(*, quick: bool) -> Report:
    """Median wall and CPU seconds of each command, the interpreter's own beside them."""
    with TemporaryDirectory() as folder:
        pod = Path(folder) / "pod.yaml"
        pod.write_text(POD)
        commands: dict[str, list[str | Path]] = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "hazelcast-sidecar --help": [COMMAND, "--help"],
            "hazelcast-sidecar inject -f": [COMMAND, "inject", "-f", pod],
            "hazelcast-sidecar explain -f": [COMMAND, "explain", "-f", pod],
            "hazelcast-sidecar resources": [COMMAND, "resources", "--namespace", "shop", "--group", "shop"],
            "hazelcast-sidecar policy": [COMMAND, "policy"],
            "hazelcast-sidecar check --help": [COMMAND, "check", "--help"],
        }
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(3 if quick else ROUNDS):
            for name, command in commands.items():
                seen[name].append(_run(command))
    medians = {
        name: (statistics.median(wall for wall, _ in runs), statistics.median(cpu for _, cpu in runs))
        for name, runs in seen.items()
    }
    rows = [(name, wall, cpu) for name, (wall, cpu) in medians.items()]
    slowest = max(wall for wall, _ in medians.values())
    return Report(
        "start",
        [Table("start to end, median, seconds", ("command", "wall", "CPU"), rows)],
        [Target("slowest command's start, seconds", slowest, START_SECONDS)],
        {"runs": seen},
    )


def _run(command: list[str | Path]) -> tuple[float, float]:
    """Wall and CPU seconds of one run."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu
