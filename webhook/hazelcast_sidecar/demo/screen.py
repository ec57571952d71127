"""The demonstration's output: coloured and with progress bars on a terminal, plain lines elsewhere."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from hazelcast_sidecar.kube.objects import JsonObject

_DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


class Screen:
    """The terminal, or whichever output standard output is."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Tell whether the output is a terminal."""
        return self._console.is_terminal

    def say(self, line: str = "", style: str = "") -> None:
        """Print one line."""
        self._console.print(Text(line, style=style))

    def heading(self, line: str) -> None:
        """Print the title of a part, behind an empty line."""
        self.say()
        self.say(line, "bold")

    def done(self, what: str) -> None:
        """Print what has been done."""
        self.say(f"  ✓ {what}", "green")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step that takes a while, and at its end how long it took; 60 columns hold it."""
        started = monotonic()
        if self.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*columns, console=self._console, transient=True) as progress:
                progress.add_task(title, total=None)
                yield
        else:
            self.say(f"... {title}")
            yield
        self.done(f"{title} ({monotonic() - started:.1f} s)")

    @contextmanager
    def download(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Show a download's progress; yield a function that takes the number of received bytes."""
        if not self.is_terminal:
            self.say(f"... downloading {name} ({size / 1e6:.0f} MB)")
            yield lambda _: None
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(name, total=size)
            yield lambda count: progress.update(task, advance=count)

    def difference(self, before: JsonObject, after: JsonObject, context: int = 3) -> None:
        """Print what changed between two documents, as a unified diff of their YAML.

        Args:
            before: the first document.
            after: the second one.
            context: lines that are shown around each change.
        """
        old, new = (yaml.safe_dump(d, sort_keys=False, width=100).splitlines() for d in (before, after))
        names = ("Pod as the ReplicaSet made it", "Pod after the webhook")
        lines = difflib.unified_diff(old, new, *names, lineterm="", n=context)
        for line in lines:
            self.say(f"    {line}", _DIFF_COLOURS.get(line[:1], "dim"))
