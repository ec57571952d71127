"""Small faults, put into the package one at a time: how many does a test notice? `make mutants`.

A fault goes into a copy of the package, and the tests that run its line are run against that copy, the most
particular ones first. A line that none of them runs has no fault in the sample: tests/apiserver and tests/e2e
are for those, and their share is printed.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData
from coverage.exceptions import CoverageException

from tests.mutants.measure import AREAS, DATA, PACKAGE, files_of, is_stale, measure
from tests.mutants.mutations import Fault, faults, with_fault

AT_ONCE = 150
MOST_TESTS = 1050
"""A line that more tests run has the most particular ones, some after the others until one fails."""

SECONDS = 180
"""Tests at once that take longer hang, and have noticed the fault by that."""

Running = Mapping[str, Mapping[int, list[str]]]
"""The tests that run a line, by file and line."""


class Mutant(NamedTuple):
    """A fault in a file of an area."""

    area: str
    path: Path
    fault: Fault

    def __str__(self) -> str:
        return f"{self.path}:{self.fault.line}: {self.fault.before}  ->  {self.fault.after}"


def main() -> int:
    """Print the rate of each area; 1 where one is below the demanded one.

    Raises:
        RuntimeError: tests fail without a fault, so that they would seem to notice everything.
    """
    options = _options()
    if is_stale():
        measure()
    running = _running()
    if not _pass(list(_width(running))[:AT_ONCE], PACKAGE.parent):
        raise RuntimeError("tests fail without a fault: run make test")
    chosen = random.Random(options.seed)  # noqa: S311 - no secret
    rates = [_rate(area, running, chosen, options) for area in options.area or AREAS]
    return int(min(rates) < options.at_least)


def _rate(area: str, running: Running, chosen: random.Random, options: argparse.Namespace) -> float:
    """Put faults into one area, and print those that no test notices; return the percentage of the others."""
    mutants, unrun = _sample(area, running, chosen, options.count)
    found = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        noticed = pool.map(lambda mutant: _is_noticed(mutant, running), mutants)
        for mutant, was in zip(mutants, noticed, strict=True):
            found += was
            if not was or options.verbose:
                print("    noticed" if was else "NOT noticed", mutant, flush=True)  # noqa: T201
    rate = 100 * found / len(mutants)
    print(  # noqa: T201
        f"{area}: {found} of {len(mutants)} faults noticed, {rate:.0f} % "
        f"(no test here runs the lines of another {unrun:.0f} % of all that there could be)",
        flush=True,
    )
    return rate


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description="What faults do tests notice?")
    parser.add_argument("--area", action="append", choices=AREAS, help="may be repeated (all)")
    parser.add_argument("--count", type=int, default=30, help="faults of each area (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another sample (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="at the same time (%(default)s)")
    parser.add_argument("--at-least", type=float, default=92, help="percent, of each area (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print the faults that are noticed, too")
    return parser.parse_args()


def _running() -> Running:
    data = CoverageData(str(DATA))
    try:
        data.read()
    except CoverageException as error:
        raise SystemExit(f"{DATA} cannot be read ({error}): run make coverage") from error
    found = {}
    for name in data.measured_files():
        contexts = data.contexts_by_lineno(name)
        lines = {line: [each.partition("|")[0] for each in tests if each] for line, tests in contexts.items()}
        found[str(Path(name).relative_to(Path.cwd()))] = lines
    return found


def _sample(area: str, running: Running, chosen: random.Random, count: int) -> tuple[list[Mutant], float]:
    """Choose faults in lines that tests run; also the share of those in other lines, in percent."""
    files = files_of(area)
    every = [Mutant(area, path, fault) for path in files for fault in faults(path.read_text("utf-8"))]
    run = [mutant for mutant in every if _tests_of(mutant, running)]
    return chosen.sample(run, min(count, len(run))), 100 - 100 * len(run) / len(every)


def _tests_of(mutant: Mutant, running: Running) -> set[str]:
    lines = running.get(str(mutant.path), {})
    covered = range(mutant.fault.line, mutant.fault.last_line + 1)
    return {test for line in covered for test in lines.get(line, ())}


def _is_noticed(mutant: Mutant, running: Running) -> bool:
    width = _width(running)
    tests = sorted(_tests_of(mutant, running), key=lambda test: (width[test], test))[:MOST_TESTS]
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        changed = copy / mutant.path.relative_to(PACKAGE)
        changed.write_text(with_fault(changed.read_text("utf-8"), mutant.fault), "utf-8")
        some = (tests[begin : begin + AT_ONCE] for begin in range(0, len(tests), AT_ONCE))
        return not all(_pass(each, Path(folder)) for each in some)


def _pass(tests: Sequence[str], folder: Path) -> bool:
    """Run tests with the package in a folder: whether they pass, and in time."""
    command = ["-m", "pytest", "-q", "-x", "-n", "0", "-o", f"cache_dir={folder / 'cache'}"]
    try:
        ended = subprocess.run(
            [sys.executable, *command, "--hypothesis-profile=quick", *tests],
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


_widths: dict[int, dict[str, int]] = {}


def _width(running: Running) -> dict[str, int]:
    """How many lines each test runs: one that runs few is quick, and particular about them."""
    if id(running) not in _widths:
        counted: dict[str, int] = defaultdict(int)
        for lines in running.values():
            for tests in lines.values():
                for test in tests:
                    counted[test] += 1
        _widths[id(running)] = counted
    return _widths[id(running)]


if __name__ == "__main__":
    sys.exit(main())
