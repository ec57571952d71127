"""Findings as a person reads them: in groups, a line each, and below it what to type."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.text import Text

from hazelcast_sidecar.checks.results import CheckResult, State
from hazelcast_sidecar.text import in_one_line

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "red", State.SKIPPED: "dim"}
_WIDTH = max(len(state) for state in State)


def lines(findings: Sequence[CheckResult]) -> Iterator[Text]:
    """The report, a line at a time; names in it are of others, so none is taken for markup."""
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
    yield Text(summary(findings))


def summary(findings: Iterable[CheckResult]) -> str:
    """How many there are of each state."""
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
    """Each area once, where it comes first."""
    order = list(dict.fromkeys(finding.area for finding in findings))
    ordered = sorted(findings, key=lambda finding: order.index(finding.area))
    yield from groupby(ordered, key=lambda finding: finding.area)
