"""What a check says: one thing that was looked at, how it is, and what to type where it is not right."""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Unread(NamedTuple):
    """Stands for what could not be looked at."""

    why: str


class Finding(msgspec.Struct, frozen=True):
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

    def ok(self, check: str, message: str) -> Finding:
        """It is as it should be."""
        return Finding(check, self.name, State.OK, message)

    def warning(self, check: str, message: str, fix: str) -> Finding:
        """It works, and yet."""
        return Finding(check, self.name, State.WARNING, message, fix)

    def problem(self, check: str, message: str, fix: str) -> Finding:
        """It does not work."""
        return Finding(check, self.name, State.PROBLEM, message, fix)

    def skipped(self, check: str, unread: Unread) -> Finding:
        """Nobody looked."""
        return Finding(check, self.name, State.SKIPPED, f"not looked at: {unread.why}")
