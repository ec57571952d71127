"""Commands of the documents: what stands behind `$ ` in console blocks, and what it is said to print."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCKS = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


class Shown(NamedTuple):
    """A command as a document shows it."""

    document: str
    line: str
    """With its comment."""
    output: tuple[str, ...]
    """The lines that it is said to print; none where the document shows none."""

    @property
    def command(self) -> str:
        """What one types."""
        return re.split(r"\s+# ", self.line)[0]


def blocks(document: Path) -> list[list[Shown]]:
    """Return the commands of each console block of a document."""
    found = []
    for text in _BLOCKS.findall(document.read_text(encoding="utf-8")):
        shown: list[Shown] = []
        for line in text.splitlines():
            if line.startswith(_PROMPT):
                shown.append(Shown(document.name, line.removeprefix(_PROMPT), ()))
            elif shown:
                shown[-1] = shown[-1]._replace(output=(*shown[-1].output, line))
        found.append(shown)
    return found


def block(document: str, first: str) -> list[Shown]:
    """Return the one block of a document, such as `docs/install.md`, whose first command begins so.

    Raises:
        ValueError: there is none, or more than one.
    """
    found = [shown for shown in blocks(ROOT / document) if shown and shown[0].command.startswith(first)]
    if len(found) != 1:
        message = f"{document} has {len(found)} console blocks that begin with {first!r}"
        raise ValueError(message)
    return found[0]
