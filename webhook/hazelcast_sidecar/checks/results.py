"""Results of checks: what was checked, its state, and how to fix it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.errors import in_short


class State(StrEnum):
    """The state of what was checked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Unread(NamedTuple):
    """The reason why something could not be read."""

    why: str


class CheckResult(msgspec.Struct, frozen=True):
    """One finding of the report."""

    check: str
    """What was checked."""
    area: str
    state: State
    message: str
    fix: str = ""
    """The fix: a command, with a comment if it takes more; with every warning and problem."""
    manifest: str = ""
    """Lines that the fix is about: YAML from the root of an object."""


class Area(NamedTuple):
    """A section of the report."""

    name: str

    def unread(self, check: str, *parts: object) -> list[CheckResult]:
        """Report the first of the parts that a check needs that could not be read; nothing if all were."""
        return [self.skipped(check, part) for part in parts if isinstance(part, Unread)][:1]

    def ok(self, check: str, message: str) -> CheckResult:
        """Report that something is as it should be."""
        return CheckResult(check, self.name, State.OK, message)

    def warning(self, check: str, message: str, fix: str, manifest: str = "") -> CheckResult:
        """Report that something works but needs attention."""
        return CheckResult(check, self.name, State.WARNING, message, fix, manifest)

    def problem(self, check: str, message: str, fix: str) -> CheckResult:
        """Report that something does not work."""
        return CheckResult(check, self.name, State.PROBLEM, message, fix)

    def skipped(self, check: str, unread: Unread) -> CheckResult:
        """Report that something was not checked."""
        return CheckResult(check, self.name, State.SKIPPED, f"not checked: {unread.why}")

    @contextmanager
    def passing_over(self, check: str, which: str, fix: str, found: list[CheckResult]) -> Iterator[None]:
        """Check one object; if that raises anything, report it and go on with the next one.

        Args:
            check: the name of the check.
            which: the object, such as "the Pod team-a/shop".
            fix: the command that shows the object.
            found: receives the finding.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            found.append(self.problem(check, f"{which} cannot be checked: {in_short(error)}", fix))
