"""What a check says: one thing that was looked at, how it is, and what to type where it is not right."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.errors import in_short


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Unread(NamedTuple):
    """Stands for what could not be looked at."""

    why: str


class CheckResult(msgspec.Struct, frozen=True):
    """One line of the report."""

    check: str
    """What was looked at."""
    area: str
    state: State
    message: str
    fix: str = ""
    """The command to type, with a comment where it takes more; with every warning and problem."""


class Area(NamedTuple):
    """What findings stand together under."""

    name: str

    def ok(self, check: str, message: str) -> CheckResult:
        """It is as it should be."""
        return CheckResult(check, self.name, State.OK, message)

    def warning(self, check: str, message: str, fix: str) -> CheckResult:
        """It works, and yet."""
        return CheckResult(check, self.name, State.WARNING, message, fix)

    def problem(self, check: str, message: str, fix: str) -> CheckResult:
        """It does not work."""
        return CheckResult(check, self.name, State.PROBLEM, message, fix)

    def skipped(self, check: str, unread: Unread) -> CheckResult:
        """Nobody looked."""
        return CheckResult(check, self.name, State.SKIPPED, f"not looked at: {unread.why}")

    @contextmanager
    def passing_over(self, check: str, which: str, fix: str, found: list[CheckResult]) -> Iterator[None]:
        """Look at one object; where that fails, in whatever way, a finding says so, and the next one follows.

        Args:
            check: what is looked at.
            which: the object, such as "the Pod team-a/shop".
            fix: the command that shows it.
            found: takes the finding.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            found.append(self.problem(check, f"{which} cannot be judged: {in_short(error)}", fix))
