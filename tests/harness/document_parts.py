"""Parts of documents that come from the code.

They are between comments:

<!-- NAME: where it comes from -->
...
<!-- /NAME -->
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_PARTS = re.compile(r"(<!-- ([\w -]+):[^\n]*-->\n)(.*?)(\n<!-- /\2 -->)", re.DOTALL)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def agree_parts(document: Path, made: Mapping[str, str], *, update: bool) -> None:
    """Check that a document has these parts, in this order, and no others; or write them into it first."""
    text = document.read_text(encoding="utf-8")
    assert [part[2] for part in _PARTS.finditer(text)] == [*made]
    wanted = _PARTS.sub(lambda part: f"{part[1]}{made[part[2]]}{part[4]}", text)
    if update:
        document.write_text(wanted, encoding="utf-8")
    assert document.read_text(encoding="utf-8") == wanted, "write it with --update"
