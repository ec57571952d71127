"""Output of the commands: objects as YAML or JSON for programs and pipes, tables for people.

Colour is for terminals: rich leaves it out for pipes, and where NO_COLOR asks for none.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from hazelcast_sidecar.manifest_text.scalars import is_text
from hazelcast_sidecar.text import in_json, in_lines, in_one_line, in_yaml

if TYPE_CHECKING:
    from rich.console import Console


def add_output(parser: argparse.ArgumentParser, *formats: str) -> None:
    """Add the option for the output format; the first format is the default."""
    parser.add_argument(
        "-o", "--output", choices=formats, default=formats[0], help="output format (%(default)s)"
    )


def objects(documents: Sequence[Any], form: str) -> str:
    """Format Kubernetes objects as YAML documents, or as JSON, several or none as a `List` for kubectl."""
    if form == "json" and len(documents) != 1:
        documents = [{"apiVersion": "v1", "kind": "List", "items": list(documents)}]
    return values(documents, form)


def values(documents: Sequence[Any], form: str) -> str:
    """Format any values as YAML documents, or as one JSON value; several become an array."""
    if form == "json":
        shown = documents[0] if len(documents) == 1 else list(documents)
        return in_json(json.dumps(shown, indent=2, ensure_ascii=False)) + "\n"
    return in_yaml(yaml.dump_all(documents, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110))


def listed(elements: Sequence[Any], form: str) -> str:
    """Format any values as YAML documents, or as one JSON array, however many there are."""
    if form == "json":
        return in_json(json.dumps(list(elements), indent=2, ensure_ascii=False)) + "\n"
    return values(elements, form)


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them; in quotes what must be escaped.

    So is what kubectl, or a reader of YAML 1.2, takes for a number.
    """


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if is_text(text) else "'"
    style = style if text.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as kubectl does; a cell may have rich's markup for colour."""
    from rich.table import Table  # noqa: PLC0415 - a tenth of the start, for tables only

    table = Table(*headings, box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    wide_console().print(table)


def wide_console() -> "Console":
    """Make a console for standard output; a pipe has no width, and nothing is cut there."""
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)


def plain(text: str) -> str:
    """Make a table cell of any text."""
    from rich.markup import escape  # noqa: PLC0415 - as above

    return escape(in_one_line(text))


def say(text: str) -> None:
    """Print a line for people; its text may repeat untrusted input."""
    sys.stdout.write(f"{in_one_line(text)}\n")


def write_documents(text: str) -> None:
    """Print documents: unchanged into a pipe, and with control characters escaped on a terminal."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None or sys.stdout.isatty():
        sys.stdout.write(in_lines(text) if sys.stdout.isatty() else text)
        return
    # In UTF-8 under every locale, and with the line breaks that the text has.
    sys.stdout.flush()
    binary.write(text.encode(errors="surrogateescape"))  # a file's name may be any bytes
    binary.flush()


def complain(text: str) -> None:
    """Print a message to standard error, apart from what goes into a pipe."""
    print(in_one_line(text), file=sys.stderr)  # noqa: T201
