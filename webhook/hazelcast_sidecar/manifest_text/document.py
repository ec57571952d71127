"""The documents of a file, and the text of one after its objects change.

A change is verified before it is returned: the new text is read, and must say what the old one says with the
operations applied. Otherwise the change is refused, and its object stays as it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from hazelcast_sidecar.manifest_text.content import Content, Json, Span, read_yaml
from hazelcast_sidecar.manifest_text.edit import (
    DocumentText,
    Splice,
    aliases_in,
    check_unshared,
    spliced,
    splices_of,
)
from hazelcast_sidecar.manifest_text.failures import UneditableError, UnreadableError
from hazelcast_sidecar.manifest_text.json_text import json_nodes, json_style, read_json
from hazelcast_sidecar.manifest_text.lines import Lines
from hazelcast_sidecar.manifest_text.nodes import Node, NodeKind
from hazelcast_sidecar.manifest_text.patching import patched, same, steps_of, value_at
from hazelcast_sidecar.manifest_text.yaml_events import BYTE_ORDER_MARK
from hazelcast_sidecar.manifest_text.yaml_nodes import key_text, yaml_nodes

_START = re.compile(rf"^(?={BYTE_ORDER_MARK}?---(?:\s|\Z))", re.MULTILINE)
_PREFACE = re.compile(rf"{BYTE_ORDER_MARK}?(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%[^\n]*(?:\n|\Z))*")
_HEAD = re.compile(rf"{BYTE_ORDER_MARK}?(?:---[ \t]*(?:#[^\n]*)?\n)?[ \t\r\n]*")
_MARKED = re.compile(rf"(?:{BYTE_ORDER_MARK}?---[ \t]*(?:#[^\n]*)?\r?\n)?{BYTE_ORDER_MARK}")
_MARKER = re.compile(r"---[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_SPACE = re.compile(r"[ \t\r\n]*")
_TEMPLATE = "{{"
"""What begins a placeholder of a template, of Helm and others."""
_ITEM = re.compile(r"/items/(\d+)")

_TRIALS, _CHARACTERS_OF_TRIALS = 32, 8_000_000
"""The most readings of a document's text to find the objects whose change does not verify, and the most
characters where that is more readings."""


class Change(NamedTuple):
    """Operations on one object of a document."""

    path: str
    """JSON pointer to the object."""
    operations: Sequence[Mapping[str, Any]]
    """By paths from there."""

    @property
    def from_root(self) -> list[Mapping[str, Any]]:
        """Return the operations by paths from the document's root."""
        return [{**each, "path": self.path + each["path"]} for each in self.operations]


class Changed(NamedTuple):
    """The outcome of changes."""

    text: str
    content: Json
    refused: dict[str, str]
    """Why an object stays as it is, by its path."""


class Document:
    """One document of a file.

    Args:
        text: as in the file, with the line that begins it.
        first_line: its number in the file.

    Raises:
        UnreadableError: kubectl would not read it either, or it is refused for its size.
    """

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.text, self.first_line = text, first_line
        self._start = _behind(_HEAD, text)
        self._shift = _behind(_MARKED, text)  # what follows is a stream of its own to kubectl
        self.is_json = False
        self._counted = 0, first_line
        self._read = self._content(text)

    @property
    def content(self) -> Json:
        """Return what the document says, as plain objects."""
        return self._read.value

    def line_of(self, index: int) -> int:
        """Return the number of a line in the file; the next one is counted from there."""
        start, line = self._counted if self._counted[0] <= index else (0, self.first_line)
        self._counted = index, line + self.text.count("\n", start, index)
        return self._counted[1]

    def line_at(self, path: str) -> int:
        """Return in which line of the file an object begins."""
        if span := self._span(_ITEM.fullmatch(path)):
            return self.line_of(span.start)
        start = _behind(_PREFACE, self.text, self._shift)
        return self.line_of(_behind(_MARKER, self.text, start))

    def repeated_key(self, path: str) -> str | None:
        """Return a duplicate key in a mapping of an object; None if there is none."""
        span = self._span(_ITEM.match(path))
        return next(
            (key for at, key in self._read.repeated if span is None or span.start <= at < span.end), None
        )

    def written(self, path: str, steps: Sequence[str]) -> str | None:
        """Return how a value of an object is written; None where it is nowhere by itself.

        Raises:
            UneditableError: the object itself does not.
        """
        node: Node | None = self._node(path)
        for step in steps:
            node = _child(node, step) if node else None
        return None if node is None or node.kind is NodeKind.ALIAS else self.text[node.start : node.end]

    def changed(self, changes: Sequence[Change]) -> Changed:
        """Return the document with operations done on its objects, on each all of them or none."""
        refused: dict[str, str] = {}
        splices: dict[str, list[Splice]] = {}
        for change in changes:
            try:
                splices[change.path] = self._splices(change)
            except (UneditableError, UnreadableError) as error:
                refused[change.path] = str(error)
        possible = [change for change in changes if change.path in splices]
        done = possible
        if possible and not self.verifies(possible, splices):
            done = _Trials(self, splices).verified([each for each in possible if self._may_do(each, splices)])
        refused |= {change.path: _UNVERIFIED for change in possible if change not in done}
        text = self._spliced(done, splices)
        return Changed(text, self._expected(done), refused)

    # --- reading

    def _content(self, text: str) -> Content:
        sentence = ""
        if text.startswith("{", self._start) and not text.startswith(_TEMPLATE, self._start):
            try:
                found, end = read_json(text, self._start)
            except UnreadableError as error:
                # YAML has braces, too, with more inside them than JSON allows.
                sentence = f"as JSON: {error}; as YAML: "
            else:
                if _SPACE.fullmatch(text, end):
                    self.is_json = True
                    return found
        try:
            found = read_yaml(text[self._shift :])
        except UnreadableError as error:
            hint = "; is it a template that has not been rendered?" if _TEMPLATE in text else ""
            raise UnreadableError(f"{sentence}{error}{hint}", error.index + self._shift) from error
        return _moved(found, self._shift) if self._shift else found

    # --- changing

    def _span(self, item: re.Match[str] | None) -> Span | None:
        """Return where an element of `items` is, by the match of its path; None where that is not known."""
        number = int(item[1]) if item else -1
        return self._read.items[number] if 0 <= number < len(self._read.items) else None

    def _alone(self, path: str) -> Span | None:
        """Return where an object is that is an element of `items` and can be read alone."""
        return None if self._read.has_anchors else self._span(_ITEM.fullmatch(path))

    @cached_property
    def _whole(self) -> Node:
        if self.is_json:
            return json_nodes(self.text, self._start)
        found = yaml_nodes(self.text[self._shift :], 0, self._shift)
        if found is None:
            raise UneditableError("the document is empty")
        return found

    @cached_property
    def _written(self) -> DocumentText:
        style = json_style(self.text, self._start) if self.is_json else None
        return DocumentText(self.text, Lines(self.text), self._aliased, style)

    @cached_property
    def _aliased(self) -> frozenset[str]:
        return aliases_in(self._whole) if self._read.has_anchors else frozenset()

    def _node(self, path: str) -> Node:
        """Return the node of an object: an element of `items` is read alone where it can be.

        Raises:
            UneditableError: it is in other places, too, or cannot be distinguished from them.
        """
        span = self._alone(path)
        if span is None:
            return _descendant(self._whole, steps_of(path), self._aliased)
        if self.is_json:
            return json_nodes(self.text, span.start)
        node = yaml_nodes(self.text[span.start : span.end], span.column, span.start)
        if node is None:
            raise UneditableError("the object is empty")
        return node

    def _splices(self, change: Change) -> list[Splice]:
        node, content = self._node(change.path), value_at(self.content, steps_of(change.path))
        return splices_of(self._written, node, change.operations, content)

    def _spliced(self, changes: Sequence[Change], splices: Mapping[str, list[Splice]]) -> str:
        return spliced(self.text, [splice for change in changes for splice in splices[change.path]])

    def _expected(self, changes: Sequence[Change]) -> Json:
        """Return the content with operations done; of a List, the elements without a copy for each."""
        expected = self.content
        elements: list[Json] | None = None
        for change in changes:
            item = _ITEM.fullmatch(change.path)
            if item is None:
                expected, elements = patched(expected, change.from_root), None
                continue
            if elements is None:
                elements = list(expected["items"])
                expected = {**expected, "items": elements}
            elements[int(item[1])] = patched(elements[int(item[1])], change.operations)
        return expected

    def verifies(self, changes: Sequence[Change], splices: Mapping[str, list[Splice]]) -> bool:
        """Return whether the changed text says what it should."""
        text = self._spliced(changes, splices)
        try:
            found = Document(text)
        except UnreadableError:
            return False
        return found.is_json == self.is_json and _equal(found.content, self._expected(changes))

    def _may_do(self, change: Change, splices: Mapping[str, list[Splice]]) -> bool:
        """Return whether a change verifies where its object is read alone; it may where that cannot be.

        So what is wrong with many objects of a long List is found in one reading of it.
        """
        span = self._alone(change.path)
        if span is None:
            return True
        start, end, column = span
        own = [each._replace(start=each.start - start, end=each.end - start) for each in splices[change.path]]
        end = max(end, *(each.end for each in splices[change.path]))
        text = spliced(self.text[start:end], own)
        try:
            found = read_json(text, 0)[0] if self.is_json else read_yaml(" " * column + text)
        except UnreadableError:
            return False
        before = value_at(self.content, steps_of(change.path))
        return same(found.value, patched(before, change.operations))


_UNVERIFIED = "is written in a way in which it cannot be changed safely"


class _Trials:
    """Finder of the changes that can be done, by halves if not all of them can."""

    def __init__(self, document: Document, splices: Mapping[str, list[Splice]]) -> None:
        self._document, self._splices = document, splices
        self._left = max(_TRIALS, _CHARACTERS_OF_TRIALS // len(document.text))

    def verified(self, changes: Sequence[Change]) -> list[Change]:
        """Return those of the changes that can be done together."""
        if not changes or self._left == 0:
            return []
        self._left -= 1
        if self._document.verifies(changes, self._splices):
            return list(changes)
        if len(changes) == 1:
            return []
        half = len(changes) // 2
        found = [*self.verified(changes[:half]), *self.verified(changes[half:])]
        return found if self._document.verifies(found, self._splices) else []


def _behind(pattern: re.Pattern[str], text: str, index: int = 0) -> int:
    """Return the index behind what matches there; the index itself if nothing does."""
    found = pattern.match(text, index)
    return found.end() if found else index


def _equal(found: Json, expected: Json) -> bool:
    """Return whether two documents say the same, a List element by element, to need less memory."""
    if not isinstance(found, dict) or not isinstance(expected, dict):
        return same(found, expected)
    some, others = found.get("items"), expected.get("items")
    if not isinstance(some, list) or not isinstance(others, list) or len(some) != len(others):
        return same(found, expected)
    rest = [{key: value for key, value in each.items() if key != "items"} for each in (found, expected)]
    return same(*rest) and all(map(same, some, others))


def _moved(content: Content, by: int) -> Content:
    """Count indexes from so many characters before."""
    return content._replace(
        items=[
            None if span is None else span._replace(start=span.start + by, end=span.end + by)
            for span in content.items
        ],
        repeated=[(index + by, key) for index, key in content.repeated],
    )


def _descendant(node: Node, steps: Sequence[str], aliased: frozenset[str]) -> Node:
    for depth, step in enumerate(steps, 1):
        where = ".".join(steps[:depth])
        child = _child(node, step)
        if child is None:
            raise UneditableError(f"{where}: comes from a merge key; write it out there")
        check_unshared(child, where, aliased)
        node = child
    return node


def _child(node: Node, step: str) -> Node | None:
    if node.kind is NodeKind.SEQUENCE:
        return node.children[int(step)] if int(step) < len(node.children) else None
    if node.kind is NodeKind.MAPPING:
        return next((value for key, value in reversed(node.pairs) if key_text(key) == step), None)
    return None


# --- the documents of a file -------------------------------------------------------------------------------


class Part(NamedTuple):
    """The text of a document, and the number of its first line."""

    text: str
    first_line: int


def parts(text: str) -> Iterator[Part]:
    """Yield the documents of a file, whose texts together are the file's.

    Comments and directives belong to the document behind them; JSON values may follow each other.
    """
    line, preface = 1, ""
    for piece in _START.split(text):
        whole = preface + piece
        if _PREFACE.fullmatch(whole) and "%" in whole and _directives(whole):
            preface = whole
            continue
        preface = ""
        for part in _values(whole) if whole else []:
            yield Part(part, line)
            line += part.count("\n")
    if preface:
        yield Part(preface, line)


def _directives(text: str) -> bool:
    return any(line.startswith("%") for line in text.lstrip(BYTE_ORDER_MARK).splitlines())


def _values(text: str) -> Iterator[str]:
    """Yield the JSON values of a text, or the text where it is not just such values."""
    head = _HEAD.match(text)
    at, start = head.end() if head else 0, 0
    while text.startswith("{", at):
        try:
            _, end = read_json(text, at)
        except UnreadableError:
            break
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        if not text.startswith("{", at):
            break
        yield text[start:end]
        start = end
    yield text[start:]
