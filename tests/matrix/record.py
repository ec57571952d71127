"""What runs of the matrix came to: a JSON file, and the table of docs/compatibility.md that is made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.document_parts import markdown_table
from tests.matrix.outcome import Outcome
from tests.matrix.versions import VERSIONS

FILE = Path(__file__).parent / "recorded.json"

Record = dict[str, dict[str, Any]]
"""By what varies (Kubernetes, Python) and its release: version, tests that passed, and what was left out."""


def read() -> Record:
    """Read the record."""
    loaded: Record = json.loads(FILE.read_text(encoding="utf-8"))
    return loaded


def add(what: str, release: str, version: str, outcome: Outcome) -> None:
    """Put a good run into the record; releases that were not run stay as they are."""
    record = read()
    entry = {"version": version, "passed": outcome.passed, "left out": dict(outcome.left_out)}
    record.setdefault(what, {})[release] = entry
    ordered = {key: dict(sorted(record[key].items(), key=_by_number)) for key in sorted(record)}
    FILE.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


def _by_number(item: tuple[str, Any]) -> list[int]:
    return [int(part) for part in item[0].split(".")]


def table() -> str:
    """Write the table."""
    record = read()
    rows = [
        _row(f"{what} ", release, record.get(what, {}).get(release))
        for what, releases in VERSIONS.items()
        for release in releases
    ]
    return markdown_table(("version", "tests passed", "left out"), rows)


def _row(what: str, release: str, entry: Mapping[str, Any] | None) -> list[str]:
    if entry is None:
        return [what + release, "not run", ""]
    return [what + entry["version"], str(entry["passed"]), _left_out(entry["left out"])]


def _left_out(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{count}: {reason}" for reason, count in reasons.items())
