"""A run of pytest and what came of it, by its own JUnit report."""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    """How many tests passed, which failed, and how many were left out, by the reason that they gave."""

    passed: int
    failed: tuple[str, ...]
    left_out: Mapping[str, int]

    @property
    def is_good(self) -> bool:
        """Whether tests ran and none failed."""
        return bool(self.passed) and not self.failed


def run(python: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Outcome:
    """Run pytest on the checkout, behind everything else on this machine; its output is shown."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [str(python), "-m", "pytest", "-q", f"--junitxml={report}"]
        status = subprocess.run(
            ["nice", *command, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
        if not report.exists():
            return Outcome(0, (f"pytest itself (exit status {status})",), {})
        outcome = read(report.read_text(encoding="utf-8"))
    if status and not outcome.failed:
        return outcome._replace(failed=(f"pytest itself (exit status {status})",))
    return outcome


def read(report: str) -> Outcome:
    """Read a JUnit report of pytest."""
    passed, failed, left_out = 0, [], Counter[str]()
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        found = {child.tag: child for child in case}
        if "failure" in found or "error" in found:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in found:
            left_out[str(found["skipped"].get("message"))] += 1
        else:
            passed += 1
    return Outcome(passed, tuple(failed), dict(left_out))
