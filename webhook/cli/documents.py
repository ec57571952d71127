"""Manifest files: YAML of several documents, or JSON, changed and otherwise left as they were written.

A document that nothing changes keeps its very bytes. In one that changes, comments, order and quotes of what
is not touched survive (ruamel.yaml's round trip), in the indentation that the document has.
"""

import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import jsonpatch
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from webhook.errors import InvalidSettingsError, Problem
from webhook.manifest import Placed, placed
from webhook.patch import Operation

_START = re.compile(r"^(?=---(?:\s|$))", re.MULTILINE)
_HEAD = re.compile(r"---[ \t]*(?:#.*)?(?:\n|\Z)")
_SEQUENCE = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#.*)?\n(?: *(?:#.*)?\n)*( *)-( +)", re.MULTILINE)
_NESTED = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#.*)?\n( +)[^\s#-]", re.MULTILINE)
_UNBOUNDED = 2**31 - 1
_NEITHER = ("y", "Y", "n", "N")  # booleans to some readers of YAML 1.1
SUFFIXES = (".yaml", ".yml", ".json")


class Document:
    """One document of a file.

    Args:
        text: as it stands there, with the line that begins it.

    Raises:
        ValueError: it is neither YAML nor JSON.
    """

    def __init__(self, text: str) -> None:
        head = _HEAD.match(text)
        self._head = head[0] if head else ""
        self._text = text[len(self._head) :]
        self._is_json = self._text.lstrip()[:1] in ("{", "[")
        no_json = ""
        if self._is_json:
            try:
                self._tree = json.loads(self._text)
                self._encoded = _encoded(self._tree)
            except (ValueError, RecursionError) as error:
                # YAML has braces and brackets, too, with more inside them than JSON allows.
                self._is_json, no_json = False, f"as JSON: {error}; as YAML: "
        if not self._is_json:
            try:
                self._tree = self._yaml().load(self._text)
                self._encoded = _encoded(self._tree)
            except Exception as error:  # a tag of YAML may call for anything, and fail in any way
                raise ValueError(no_json + " ".join(str(error).split())) from error

    @property
    def content(self) -> Any:  # noqa: ANN401 - whatever stands there
        """What stands there, as plain objects."""
        return json.loads(self._encoded)

    def changed(self, operations: Sequence[Operation]) -> str:
        """The document's text after a JSON Patch."""
        if not operations:
            return self._head + self._text
        tree = jsonpatch.apply_patch(self._tree, [_quoted(each) for each in operations])
        if self._is_json:
            indent = re.match(r"\s*[{\[]\n?( *)", self._text)
            end = "\n" if self._text.endswith("\n") else ""
            spaces = len(indent[1]) if indent else 0
            return json.dumps(tree, indent=spaces or None, ensure_ascii=False) + end
        return self._head + _onto(self._text, self._dumped(self._tree), self._dumped(tree))

    def _dumped(self, tree: Any) -> str:  # noqa: ANN401 - as above
        written = io.StringIO()
        self._yaml().dump(tree, written)
        return written.getvalue()

    def _yaml(self) -> YAML:
        """A reader and writer in the style of this document."""
        style = YAML()
        style.preserve_quotes = True
        style.width = _UNBOUNDED
        style.brace_single_entry_mapping_in_flow_sequence = True
        nested = _NESTED.search(self._text)
        mapping = len(nested[2]) - len(nested[1]) if nested else 2
        listed = _SEQUENCE.search(self._text)
        offset = max(0, len(listed[2]) - len(listed[1])) if listed else 0
        dash = 1 + len(listed[3]) if listed else 2
        style.indent(mapping=mapping, sequence=offset + dash, offset=offset)
        return style


def _encoded(tree: Any) -> str:  # noqa: ANN401 - as above
    """Encode a document as JSON.

    Raises:
        ValueError: JSON has no form for it, such as for half a surrogate pair or for what contains itself, or
            Python refuses to print one of its numbers.
        TypeError: one of its keys is no text.
        RecursionError: it is nested too deeply.
    """
    encoded = json.dumps(tree, default=str, ensure_ascii=False)
    encoded.encode()
    return encoded


def _onto(text: str, before: str, after: str) -> str:
    """The difference of two dumps, applied to the text that the first is a dump of.

    A dump writes some lines in its own way: an empty value for null, one line where there were two. Those
    that do not change are taken as they were written.
    """
    written, old, new = (each.splitlines(keepends=True) for each in (text, before, after))
    as_written = _by_dumped_line(old, written)
    lines: list[str] = []
    for change, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change != "equal":
            lines += new[first:last]
            continue
        while start < end:
            stop, found = as_written.get(start, (end + 1, []))
            if stop <= end:
                lines += found
                start = stop  # noqa: PLW2901 - goes on behind what was taken
            else:  # a part of what changes
                lines.append(old[start])
                start += 1  # noqa: PLW2901
    return "".join(lines)


def _by_dumped_line(dumped: list[str], written: list[str]) -> dict[int, tuple[int, list[str]]]:
    """For lines of a dump, where the next one begins, and what was written in their place."""
    found: dict[int, tuple[int, list[str]]] = {}
    matcher = SequenceMatcher(None, dumped, written, autojunk=False)
    for _, start, end, first, last in matcher.get_opcodes():
        if end - start == last - first:
            for number in range(end - start):
                found[start + number] = start + number + 1, written[first + number : first + number + 1]
        elif start < end:
            found[start] = end, written[first:last]
        elif start - 1 in found:  # the dump has lost them: they follow what was before
            found[start - 1][1].extend(written[first:last])
    return found


def _quoted(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A value whose texts no reader of YAML will take for numbers or booleans."""
    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    if isinstance(value, str) and (value in _NEITHER or _resolves(value)):
        return DoubleQuotedScalarString(value)
    return value


def _resolves(text: str) -> bool:
    """Whether a plain text would be something else in YAML 1.1, which kubectl reads."""
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return str(tag) != "tag:yaml.org,2002:str"


def split(text: str) -> list[Document]:
    """The documents of a file.

    Raises:
        ValueError: one of them is neither YAML nor JSON.
    """
    return [Document(part) for part in _START.split(text) if part]


def files(paths: Sequence[str]) -> Iterator[tuple[Path | None, str]]:
    """Each file that is named, or stands in a folder that is, with its text; None for standard input.

    Raises:
        InvalidSettingsError: one cannot be read.
    """
    for given in paths:
        try:
            if given == "-":
                yield None, sys.stdin.read()
                continue
            path = Path(given)
            listed = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
            for file in listed:
                yield file, file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:  # such as one that is not UTF-8, or a path that cannot be
            raise InvalidSettingsError([Problem("-f", f"{given} cannot be read: {error}")]) from error


def read_objects(paths: Sequence[str]) -> Iterator[Placed]:
    """Every Pod and workload in these files.

    Raises:
        InvalidSettingsError: a file cannot be read, or is neither YAML nor JSON.
    """
    for path, text in files(paths):
        for document in documents_of(path, text):
            yield from placed(document.content)


def documents_of(path: Path | None, text: str) -> list[Document]:
    """The documents of a file.

    Raises:
        InvalidSettingsError: one of them is neither YAML nor JSON.
    """
    try:
        return split(text)
    except ValueError as error:
        where = str(path or "standard input")
        raise InvalidSettingsError([Problem(where, f"is neither YAML nor JSON: {error}")]) from error
