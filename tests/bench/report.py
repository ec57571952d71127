"""What a measurement found, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """One table: a title with the units, column names, and rows in the same order."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True)
class Target:
    """A figure that was promised; `limit` is the most, or for `at_least` the least, that it may be."""

    what: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps the promise."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass(frozen=True)
class Report:
    """All that one part measured; `details` is for the JSON alone, such as single rounds."""

    part: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON has it, each target with its verdict."""
        targets = [{**asdict(target), "met": target.is_met} for target in self.targets]
        return {**asdict(self), "targets": targets}

    def show(self, console: Console) -> None:
        """Print the tables, then each target with its verdict."""
        for table in self.tables:
            shown = RichTable(title=table.title, title_justify="left")
            for number, column in enumerate(table.columns):
                shown.add_column(column, justify="right" if number else "left")
            for row in table.rows:
                shown.add_row(*(cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row))
            console.print(shown)
        for target in self.targets:
            verdict = "met" if target.is_met else "MISSED"
            sign = ">=" if target.at_least else "<="
            console.print(f"{verdict}: {target.what}: {target.figure:.3g} (target {sign} {target.limit:g})")
