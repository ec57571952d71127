"""Files of manifests, rewritten object by object: to standard output, in place, or shown as a difference."""

import argparse
import sys
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

from webhook.cli.documents import Document, documents_of, files
from webhook.cli.options import add_files
from webhook.cli.output import complain, objects, plain, print_table, write_documents
from webhook.errors import InvalidSettingsError, Problem
from webhook.manifest import Placed, Result, placed, under, unexpected
from webhook.patch import Operation
from webhook.policy import SENTENCES, Reason

Rewrite = Callable[[Placed], Result]


class _File(NamedTuple):
    """A file, before and after."""

    path: Path | None
    before: str
    after: str
    contents: list[object]
    """Its documents afterwards."""

    @property
    def name(self) -> str:
        return str(self.path or "standard input")


def add_rewriting(parser: argparse.ArgumentParser) -> None:
    """What to read, and where the result goes."""
    add_files(parser, required=True)
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--in-place", action="store_true", help="write the result into the files")
    to.add_argument("--diff", action="store_true", help="show what would change")
    to.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json", "table"),
        help="write all in this form, or list what happens to each object (as each file was written)",
    )


def rewrite(options: argparse.Namespace, one: Rewrite) -> int:
    """Rewrite every file; 1 where there is a problem, which leaves its object as it is."""
    if options.in_place and "-" in options.filename:
        raise InvalidSettingsError([Problem("--in-place", "standard input is not a file")])
    rows: list[tuple[str, str, str]] = []
    problems: list[str] = []
    rewritten = [_rewritten(path, text, one, rows, problems) for path, text in files(options.filename)]
    if options.output == "table":
        print_table(("OBJECT", "OUTCOME", "MEANING"), rows)
    else:
        _write(options, rewritten)
    for line in problems:
        complain(line)
    return 1 if problems else 0


def _rewritten(
    path: Path | None, text: str, one: Rewrite, rows: list[tuple[str, str, str]], problems: list[str]
) -> _File:
    name = str(path or "standard input")
    after, contents = [], []
    for document in documents_of(path, text):
        operations = []
        for found in placed(document.content):
            result = _result(one, found)
            rows.append((plain(found.name), result.reason, SENTENCES[result.reason]))
            problems += [f"{name}: {found.name}: {problem}" for problem in result.problems]
            for warning in result.warnings:
                complain(f"{name}: {found.name}: {warning}")
            operations += under(found.path, result.operations)
        after.append(_changed(name, document, operations))
        contents.append(Document(after[-1]).content)
    return _File(path, text, "".join(after), contents)


def _changed(name: str, document: Document, operations: list[Operation]) -> str:
    """Apply operations to a document.

    Raises:
        InvalidSettingsError: it is nested too deeply to be copied.
    """
    try:
        return document.changed(operations)
    except RecursionError as error:
        raise InvalidSettingsError([Problem(name, "is nested too deeply")]) from error


def _result(one: Rewrite, found: Placed) -> Result:
    """Rewrite one object; where that fails, in whatever way, it stays as it is, and the others go on."""
    try:
        return one(found)
    except InvalidSettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        return Result(Reason.INVALID, problems=[unexpected(error)])


def _write(options: argparse.Namespace, rewritten: list[_File]) -> None:
    if options.in_place:
        for file in rewritten:
            if file.path is not None and file.after != file.before:
                file.path.write_text(file.after, encoding="utf-8")
    elif options.diff:
        for file in rewritten:
            before, after = (text.splitlines(keepends=True) for text in (file.before, file.after))
            difference = unified_diff(before, after, fromfile=file.name, tofile=file.name)
            write_documents("".join(difference))
    elif options.output:
        contents = [content for file in rewritten for content in file.contents if content is not None]
        sys.stdout.write(objects(contents, options.output))
    else:
        write_documents(_joined([file.after for file in rewritten]))


def _joined(texts: list[str]) -> str:
    """Several files as one stream."""
    joined = ""
    for text in texts:
        if joined and not text.startswith("---"):
            joined += "---\n"
        joined += text
        if joined and not joined.endswith("\n"):
            joined += "\n"
    return joined
