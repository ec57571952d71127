"""A readable report of findings, by area: one line each, and below it the fix and lines of a manifest."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.text import Text

from hazelcast_sidecar.checks.results import CheckResult, State
from hazelcast_sidecar.text import in_one_line

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "red", State.SKIPPED: "dim"}
_WIDTH = max(len(state) for state in State)


def lines(findings: Sequence[CheckResult]) -> Iterator[Text]:
    """Yield the report line by line; names from the cluster are never parsed as markup."""
    for area, of_area in _by_area(findings):
        yield Text(area, style="bold")
        for finding in of_area:
            yield Text.assemble(
                "  ",
                (f"{finding.state:{_WIDTH}}", _COLOURS[finding.state]),
                in_one_line(f"  {finding.check}: {finding.message}"),
            )
            if finding.fix:
                yield Text(in_one_line(f"  {'':{_WIDTH}}  fix: {finding.fix}"))
            for line in finding.manifest.splitlines():
                yield Text(in_one_line(f"  {'':{_WIDTH}}       {line}"))
    yield Text(summary(findings))


def summary(findings: Iterable[CheckResult]) -> str:
    """Count the findings of each state."""
    numbers = Counter(finding.state for finding in findings)
    words = [
        (State.PROBLEM, "problem"),
        (State.WARNING, "warning"),
        (State.OK, "ok"),
        (State.SKIPPED, "skipped"),
    ]
    return ", ".join(
        f"{numbers[state]} {word}{'s' if word in ('problem', 'warning') and numbers[state] != 1 else ''}"
        for state, word in words
    )


def _by_area(findings: Sequence[CheckResult]) -> Iterator[tuple[str, Iterable[CheckResult]]]:
    """Yield each area once, in the order of its first finding."""
    order = list(dict.fromkeys(finding.area for finding in findings))
    ordered = sorted(findings, key=lambda finding: order.index(finding.area))
    yield from groupby(ordered, key=lambda finding: finding.area)
