"""A JSON Patch (RFC 6902), applied to the text of a document at the places that its nodes have.

The operations are done on an overlay of the nodes first, one after the other, so that indexes mean what they
mean in the patch; then each collection that changed says what is cut out of the text and what is put in.
Nothing else of the text is touched.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from hazelcast_sidecar.manifest_text.failures import UneditableError
from hazelcast_sidecar.manifest_text.lines import BREAK, FILE_BREAK, Lines, break_before
from hazelcast_sidecar.manifest_text.nodes import Node, NodeKind
from hazelcast_sidecar.manifest_text.patching import Operation, patched, steps_of, value_at
from hazelcast_sidecar.manifest_text.render import (
    JsonStyle,
    Style,
    as_json,
    element_lines,
    flow,
    flow_pair,
    pair_lines,
    scalar,
    value_lines,
)
from hazelcast_sidecar.manifest_text.yaml_nodes import MERGE_KEY, key_text

AS_WRITTEN = "text"
"""Member of an operation of ours beside those of RFC 6902: how its value is written."""

_LAST_BREAK = re.compile(rf"(?:{BREAK.pattern})\Z")
_TO_DASH = re.compile("(?:[ \t\r\n\x85\u2028\u2029]|#[^\r\n\x85\u2028\u2029]*)*-")
_PROPERTIES = re.compile("(?:[&!][^ \t\r\n]*[ \t\r\n]*(?:#[^\r\n]*[\r\n][ \t\r\n]*)*)+")
_COLON = re.compile("[ \t\r\n]*:")
_BLANK = re.compile("[ \t]*(?:#.*)?")
_ABSENT = object()


class Splice(NamedTuple):
    """A part of the text, and its replacement."""

    start: int
    end: int
    text: str


class DocumentText(NamedTuple):
    """The text of a whole document, and what was found out about it once."""

    text: str
    lines: Lines
    aliased: frozenset[str]
    """The anchors that it has aliases of."""
    json_style: JsonStyle | None
    """How it is written; None: it is YAML."""


def splices_of(
    document: DocumentText, root: Node, operations: Sequence[Operation], content: object
) -> list[Splice]:
    """Return what changes in the text of a document when operations are done on one of its nodes.

    Args:
        document: that the object is in.
        root: node of the object that the operations are for.
        operations: add, replace and remove, by paths from that object.
        content: what the node says, with what its merge keys bring.

    Raises:
        UneditableError: one of them would reach another place too, or cannot be written.
    """
    overlay = _Overlay(root)
    followed = _Followed(content, operations)
    for number, operation in enumerate(operations):
        _apply(overlay, operation, document.aliased, partial(followed.before, number))
    return list(_Writer(document, root).splices(overlay, []))


def spliced(text: str, splices: list[Splice]) -> str:
    """Return a text with parts of it exchanged; where it had no line break at its end, it gets none."""
    pieces, at = [], 0
    for splice in sorted(splices, key=lambda each: each.start):
        pieces += [text[at : splice.start], splice.text]
        at = max(at, splice.end)
    pieces.append(text[at:])
    result = "".join(pieces)
    return result if _LAST_BREAK.search(text) else _LAST_BREAK.sub("", result)


def aliases_in(root: Node) -> frozenset[str]:
    """Return the anchors of which there are aliases."""
    found, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node.kind is NodeKind.ALIAS:
            found.add(node.value)
        waiting += node.children
    return frozenset(found)


# --- the overlay -------------------------------------------------------------------------------------------


class _Entry:
    """An element of a list, or a key with its value: one in the text, or a new one."""

    __slots__ = ("key", "key_node", "node", "overlay", "value", "written")

    def __init__(
        self, key: str | None, key_node: Node | None, node: Node | None, value: object = _ABSENT
    ) -> None:
        self.key, self.key_node, self.node = key, key_node, node
        self.value: Any = value
        """Of a new entry, or the new value of an existing one."""
        self.written: str | None = None
        """How the value is written; None: as the place has it."""
        self.overlay: _Overlay | None = None

    @property
    def is_new(self) -> bool:
        return self.node is None

    @property
    def end(self) -> int:
        assert self.node is not None  # noqa: S101 - only called for nodes of the text
        return self.key_node.end if self.key_node and self.node.is_empty_text else self.node.end


class _Overlay:
    """A collection in the text, and the changes of its entries."""

    def __init__(self, node: Node) -> None:
        self.node = node
        if node.kind is NodeKind.MAPPING:
            self.originals = [_Entry(key_text(key), key, value) for key, value in node.pairs]
        else:
            self.originals = [_Entry(None, None, each) for each in node.children]
        self.live = list(self.originals)

    def find(self, step: str) -> _Entry | None:
        """Return the entry that a step of a pointer names; of a duplicate key, the last."""
        if self.node.kind is NodeKind.SEQUENCE:
            index = int(step)
            return self.live[index] if index < len(self.live) else None
        return next((entry for entry in reversed(self.live) if entry.key == step), None)

    @property
    def merges(self) -> bool:
        """Return whether keys come from elsewhere too."""
        return any(entry.key_node and entry.key_node.value is MERGE_KEY for entry in self.originals)


class _Followed:
    """What a node says before each of its operations; those of nodes without merge keys are never done."""

    def __init__(self, content: object, operations: Sequence[Operation]) -> None:
        self._content, self._operations, self._done = content, operations, 0

    def before(self, number: int) -> object:
        """Return what it says before an operation; not before the last one that was asked for."""
        self._content = patched(self._content, self._operations[self._done : number])
        self._done = number
        return self._content


def _apply(
    root: _Overlay, operation: Operation, aliased: frozenset[str], content: Callable[[], object]
) -> None:
    steps = steps_of(operation["path"])
    overlay = root
    for depth, step in enumerate(steps[:-1]):
        where = ".".join(steps[: depth + 1])
        entry = overlay.find(step)
        if entry is None:
            raise UneditableError(f"{where}: comes from a merge key; write it out there")
        if entry.value is not _ABSENT:
            entry.value = _within(entry.value, steps[depth + 1 :], operation)
            return
        overlay = _entered(entry, where, aliased)
    if overlay.merges and overlay.find(steps[-1]) is None and _is_there(content(), steps):
        raise UneditableError(f"{'.'.join(steps)}: comes from a merge key; write it out there")
    _change(overlay, steps, operation, aliased)


def _is_there(value: Any, steps: list[str]) -> bool:  # noqa: ANN401 - JSON
    parent = value_at(value, steps[:-1])
    return isinstance(parent, dict) and steps[-1] in parent


def check_unshared(node: Node, where: str, aliased: frozenset[str]) -> None:
    """Refuse to change what is in several places.

    Raises:
        UneditableError: it is an alias, or there are aliases of it.
    """
    if node.kind is NodeKind.ALIAS:
        raise UneditableError(f"{where}: is the alias *{node.value}; write it out there")
    if node.anchor in aliased:
        sentence = f"is used in other places by the anchor &{node.anchor}; write it out there"
        raise UneditableError(f"{where}: {sentence}")


def _entered(entry: _Entry, where: str, aliased: frozenset[str]) -> _Overlay:
    node = entry.node
    assert node is not None  # noqa: S101 - a new one has a value
    check_unshared(node, where, aliased)
    if node.kind is NodeKind.SCALAR:
        raise UneditableError(f"{where}: is neither a list nor a mapping")
    if entry.overlay is None:
        entry.overlay = _Overlay(node)
    return entry.overlay


def _change(overlay: _Overlay, steps: list[str], operation: Operation, aliased: frozenset[str]) -> None:
    step, where = steps[-1], ".".join(steps)
    is_list = overlay.node.kind is NodeKind.SEQUENCE
    if operation["op"] == "remove":
        entry = overlay.find(step)
        assert entry is not None  # noqa: S101 - it would come from a merge key
        overlay.live.remove(entry)
        return
    value, written = operation["value"], operation.get(AS_WRITTEN)
    if is_list and operation["op"] == "add":
        overlay.live.insert(len(overlay.live) if step == "-" else int(step), _Entry(None, None, None, value))
        return
    entry = overlay.find(step)
    if entry is None:
        entry = _Entry(step, None, None)
        overlay.live.append(entry)
    elif entry.node is not None:
        check_unshared(entry.node, where, aliased)
    entry.value, entry.written = value, written


def _within(value: Any, steps: list[str], operation: Operation) -> Any:  # noqa: ANN401 - JSON
    """Return a new value with an operation done inside it."""
    changed = deepcopy(value)
    at = changed
    for step in steps[:-1]:
        at = at[int(step)] if isinstance(at, list) else at[step]
    last: Any = steps[-1] if isinstance(at, dict) else len(at) if steps[-1] == "-" else int(steps[-1])
    if operation["op"] == "remove":
        del at[last]
    elif isinstance(at, list) and operation["op"] == "add":
        at.insert(last, operation["value"])
    else:
        at[last] = operation["value"]
    return changed


# --- what changes in the text ------------------------------------------------------------------------------


class _Writer:
    """Says what changes in a text, each collection in its own style."""

    def __init__(self, document: DocumentText, root: Node) -> None:
        self._text = document.text
        self._lines = document.lines
        self._json = document.json_style
        self._anywhere = _first_list_style(root)

    def splices(self, overlay: _Overlay, above: list[Node]) -> Iterator[Splice]:
        """Yield the changes in a collection and below it, in the order of the text where two have one place.

        Args:
            overlay: the collection.
            above: the collections around it, from the root.
        """
        node = overlay.node
        path = [*above, node]
        for entry in overlay.live:
            if entry.is_new:
                continue
            if entry.value is not _ABSENT:
                yield self._replaced(entry, path)
            elif entry.overlay is not None:
                yield from self.splices(entry.overlay, path)
        if overlay.live != overlay.originals:
            own = _Flow(self, overlay) if node.is_flow else _Block(self, overlay, path)
            yield from own.splices()

    # --- places

    def line_start(self, index: int) -> int:
        return self._lines.start(index)

    def next_line(self, index: int) -> int:
        return self._lines.after(index)

    def margin(self, index: int) -> str:
        """Return the white space with which the line of an index begins."""
        start = self.line_start(index)
        match = re.compile("[ \t]*").match(self._text, start)
        assert match is not None  # noqa: S101 - it matches nothing, too
        return match[0]

    def newline(self, index: int) -> str:
        """Return the line break that is used around an index."""
        before = break_before(self._text, self.line_start(index))
        return before if FILE_BREAK.fullmatch(before) else self._lines.first_break

    def begins_line(self, index: int) -> bool:
        return not self._text[self.line_start(index) : index].strip(" ")

    def is_open(self, index: int) -> bool:
        """Return whether an index is the end of a text that has no line break there."""
        return index == len(self._text) and not break_before(self._text, index)

    @property
    def text(self) -> str:
        return self._text

    @property
    def json_style(self) -> JsonStyle | None:
        return self._json

    # --- styles

    def style(self, path: list[Node]) -> Style:
        """Return how collections below the last one of a path are written."""
        step = next((each for each in _steps(path)), 2)
        lists = next((each for node in reversed(path) for each in _list_styles(node)), self._anywhere)
        own = path[-1]
        if own.kind is NodeKind.SEQUENCE and own.children and not own.is_flow:
            width = _dash_width(own)
            lists = (lists[0], width or lists[1])
        return Style(step, *lists)

    def inline(self, value: Any, at: int) -> str:  # noqa: ANN401 - JSON
        """Return a value as written in brackets that begin in the line of an index."""
        if self._json is None:
            return flow(value)
        return as_json(value, self._json, self.margin(at))

    # --- other values

    def _replaced(self, entry: _Entry, path: list[Node]) -> Splice:
        node, key = entry.node, entry.key_node
        assert node is not None  # noqa: S101 - it is in the text
        if entry.written is not None and key is not None:
            return self._restored(node, key, entry.written)
        if node.is_empty_text and key is not None:
            return self._filled(entry, key, path)
        if _is_block(node) or node.is_block_text:
            raise UneditableError(f"{entry.key}: cannot be replaced in its place")
        value = entry.value
        if (
            isinstance(value, dict | list)
            and value
            and self._json is None
            and not path[-1].is_flow
            and self.begins_line(node.start)
        ):
            style = self.style(path)
            lines = [line for each in _alone(value, node.column, style) for line in [each]]
            return Splice(node.start, node.end, self.newline(node.start).join(lines)[node.column :])
        return Splice(
            node.start,
            node.end,
            self.inline(value, node.start)
            if self._json or path[-1].is_flow or isinstance(value, dict | list)
            else scalar(value),
        )

    def _filled(self, entry: _Entry, key: Node, path: list[Node]) -> Splice:
        """Give a value to a key that has none."""
        colon = _COLON.match(self._text, key.end)
        if colon is None:
            raise UneditableError(f"{entry.key}: has no value that could be replaced")
        value = entry.value
        if path[-1].is_flow or not value or not isinstance(value, dict | list):
            shown = flow(value) if path[-1].is_flow or isinstance(value, dict | list) else scalar(value)
            return Splice(colon.end(), colon.end(), f" {shown}")
        lines = value_lines(value, path[-1].column, self.style(path))
        return self.below(colon.end(), lines)

    def _restored(self, node: Node, key: Node, written: str) -> Splice:
        """Put back what was written in the place of a value."""
        if written:
            return Splice(node.start, node.end, written)
        if _is_block(node):
            return Splice(self.line_start(node.start), self.next_line(node.end), "")
        colon = _COLON.match(self._text, key.end)
        return Splice(colon.end() if colon else node.start, node.end, "")

    def line_below(self, index: int) -> int:
        """Return where the line below begins of what ends at an index, which may be there already."""
        return index if break_before(self._text, index) else self.next_line(index)

    def below(self, index: int, lines: list[str]) -> Splice:
        """Put lines below the one of an index."""
        at = self.line_below(index)
        newline = self.newline(index)
        if self.is_open(at):
            return Splice(at, at, newline + newline.join(lines))
        return Splice(at, at, newline.join(lines) + newline)


def _alone(value: Any, column: int, style: Style) -> list[str]:  # noqa: ANN401 - JSON
    """Return the lines of a collection in this column."""
    if isinstance(value, dict):
        return [line for key, each in value.items() for line in pair_lines(key, each, column, style)]
    return [line for each in value for line in element_lines(each, column, style)]


def _is_block(node: Node) -> bool:
    return node.kind in (NodeKind.MAPPING, NodeKind.SEQUENCE) and not node.is_flow


def _steps(path: list[Node]) -> Iterator[int]:
    """Yield how far mappings are indented: those nearest to the end of a path first."""
    for node in reversed(path):
        if node.kind is NodeKind.MAPPING and _is_block(node):
            for _, value in node.pairs:
                if value.kind is NodeKind.MAPPING and _is_block(value) and value.column > node.column:
                    yield value.column - node.column


def _list_styles(node: Node) -> Iterator[tuple[int, int]]:
    """Yield offset and dash width of the lists in a mapping."""
    if node.kind is not NodeKind.MAPPING or node.is_flow:
        return
    for _, value in node.pairs:
        if (
            value.kind is NodeKind.SEQUENCE
            and _is_block(value)
            and value.anchor is None
            and (width := _dash_width(value))
        ):
            offset = value.column - node.column
            if offset >= 0:
                yield offset, width


def _dash_width(node: Node) -> int:
    """Return the columns from the dashes of a list to its elements; 0 where no element shows it."""
    widths = (
        each.column - node.column for each in node.children if not each.is_empty_text and each.anchor is None
    )
    return next((width for width in widths if width > 1), 0)


def _first_list_style(root: Node) -> tuple[int, int]:
    waiting = [root]
    for node in waiting:  # grows while it is walked through
        for found in _list_styles(node):
            return found
        waiting += [child for child in node.children if child.children]
    return Style().offset, Style().dash


# --- collections in blocks ---------------------------------------------------------------------------------


class _Block:
    """A collection whose entries have lines of their own."""

    def __init__(self, writer: _Writer, overlay: _Overlay, path: list[Node]) -> None:
        self._writer, self._overlay, self._path = writer, overlay, path
        self._node = overlay.node
        self._starts = dict(zip(map(id, overlay.originals), self._entry_starts(), strict=True))

    def _entry_starts(self) -> Iterator[int]:
        """Yield where each entry begins: at its key, or its dash."""
        text, at = self._writer.text, self._node.start
        if self._node.kind is NodeKind.MAPPING:
            for entry in self._overlay.originals:
                assert entry.key_node is not None  # noqa: S101 - a mapping's
                yield entry.key_node.start
            return
        if properties := _PROPERTIES.match(text, at):
            at = properties.end()
        for each in self._node.children:
            dash = _TO_DASH.match(text, at)
            if dash is None:
                raise UneditableError("a list is written in a way that is not understood")
            yield dash.end() - 1
            at = max(each.end, dash.end())

    def splices(self) -> Iterator[Splice]:
        live, originals = self._overlay.live, self._overlay.originals
        if not live:
            raise UneditableError("a block would be empty")
        before: _Entry | None = None
        for is_new, group in groupby(live, key=lambda entry: entry.is_new):
            entries = list(group)
            if is_new:
                yield self._inserted(before, entries)
            else:
                before = entries[-1]
        kept = {id(entry) for entry in live}
        for is_kept, group in groupby(originals, key=lambda entry: id(entry) in kept):
            if not is_kept:
                yield self._removed(list(group))

    def _lines(self, entries: list[_Entry], column: int) -> list[str]:
        style = self._writer.style(self._path)
        if self._node.kind is NodeKind.MAPPING:
            return [
                line for each in entries for line in pair_lines(each.key or "", each.value, column, style)
            ]
        return [line for each in entries for line in element_lines(each.value, column, style)]

    def _inserted(self, before: _Entry | None, entries: list[_Entry]) -> Splice:
        writer = self._writer
        if before is None:
            return self._in_front(self._overlay.originals[0], entries, above_comments=True)
        start = self._starts[id(before)]
        column = start - writer.line_start(start)
        if _last_leaf(before).is_block_text and writer.is_open(writer.line_below(before.end)):
            # A line break behind it would be a part of that text.
            if self._node.kind is NodeKind.SEQUENCE:
                raise UneditableError("the file ends within a text; put a line break at its end")
            return self._in_front(before, entries, above_comments=False)
        return writer.below(before.end, self._lines(entries, column))

    def _in_front(self, entry: _Entry, entries: list[_Entry], *, above_comments: bool) -> Splice:
        writer, at = self._writer, self._starts[id(entry)]
        column = at - writer.line_start(at)
        lines, newline = self._lines(entries, column), writer.newline(at)
        if not writer.begins_line(at):
            inline = newline.join(lines)[column:]
            return Splice(at, at, f"{inline}{newline}{' ' * column}")
        at = writer.line_start(at)
        while (
            above_comments
            and at > 0
            and self._is_comment(upper := writer.line_start(at - len(break_before(writer.text, at))), at)
        ):
            at = upper
        return Splice(at, at, newline.join(lines) + newline)

    def _is_comment(self, start: int, end: int) -> bool:
        return _BLANK.fullmatch(_LAST_BREAK.sub("", self._writer.text[start:end])) is not None

    def _removed(self, entries: list[_Entry]) -> Splice:
        writer, start = self._writer, self._starts[id(entries[0])]
        if writer.begins_line(start):
            return Splice(writer.line_start(start), writer.line_below(entries[-1].end), "")
        following = self._overlay.originals.index(entries[-1]) + 1
        if following == len(self._overlay.originals):
            raise UneditableError("a dash would have no value")
        return Splice(start, self._starts[id(self._overlay.originals[following])], "")


def _last_leaf(entry: _Entry) -> Node:
    node = entry.node
    assert node is not None  # noqa: S101 - it is in the text
    while node.children and not node.is_flow:
        node = node.children[-1]
    return node


# --- collections in brackets -------------------------------------------------------------------------------


class _Flow:
    """A collection in brackets, of YAML or JSON."""

    def __init__(self, writer: _Writer, overlay: _Overlay) -> None:
        self._writer, self._overlay, self._node = writer, overlay, overlay.node
        text, start = writer.text, overlay.node.start
        properties = _PROPERTIES.match(text, start)
        self._inside = (properties.end() if properties else start) + 1
        self._closing = overlay.node.end - 1

    def splices(self) -> Iterator[Splice]:
        live, originals = self._overlay.live, self._overlay.originals
        kept = {id(entry) for entry in live if not entry.is_new}
        if not kept:
            yield Splice(self._inside, self._closing if originals else self._inside, self._whole(live))
            return
        before: _Entry | None = None
        for is_new, group in groupby(live, key=lambda entry: entry.is_new):
            entries = list(group)
            if not is_new:
                before = entries[-1]
                continue
            texts = self._gap.join([f"{self._shown(each)}," for each in entries])[:-1]
            if before is None:
                first = next(_start(entry) for entry in live if not entry.is_new)
                yield Splice(first, first, f"{texts},{self._gap}")
            else:
                yield Splice(before.end, before.end, f",{self._gap}{texts}")
        yield from self._removals(kept)

    def _removals(self, kept: set[int]) -> Iterator[Splice]:
        before: _Entry | None = None
        gone: list[_Entry] = []
        for entry in self._overlay.originals:
            if id(entry) not in kept:
                gone.append(entry)
                continue
            if gone:
                start, end = (before.end, gone[-1].end) if before else (_start(gone[0]), _start(entry))
                yield Splice(start, end, "")
            before, gone = entry, []
        if gone and before:
            yield Splice(before.end, gone[-1].end, "")

    def _whole(self, entries: list[_Entry]) -> str:
        """Return the text between brackets that keep no former entry."""
        if not entries:
            return ""
        style = self._writer.json_style
        if style is None or style.indent is None:
            return (style.comma if style else ", ").join(map(self._shown, entries))
        margin = self._writer.margin(self._inside)
        inner = style.newline + margin + style.indent
        shown = [self._shown(each, style.indent) for each in entries]
        space = self._writer.text[self._inside : self._closing]
        closing = style.newline + margin if self._overlay.originals or not BREAK.search(space) else ""
        return inner + f",{inner}".join(shown) + closing

    @property
    def _gap(self) -> str:
        """Return the white space behind a comma."""
        text, originals = self._writer.text, self._overlay.originals
        lead = text[self._inside : _start(originals[0])]
        if BREAK.search(lead):
            found = list(BREAK.finditer(lead))[-1]
            return self._writer.newline(self._inside) + lead[found.end() :]
        if len(originals) > 1:
            between = text[originals[0].end : _start(originals[1])].partition(",")[2]
            if not between.strip() and not BREAK.search(between):
                return between if self._writer.json_style else " "
        style = self._writer.json_style
        return " " if style is None else style.comma[1:]

    def _shown(self, entry: _Entry, deeper: str = "") -> str:
        style = self._writer.json_style
        if style is None:
            if self._node.kind is NodeKind.SEQUENCE:
                return flow(entry.value)
            return flow_pair(entry.key or "", entry.value)
        at = self._inside if not self._overlay.originals else _start(self._overlay.originals[0])
        shown = as_json(entry.value, style, self._writer.margin(at) + deeper)
        if self._node.kind is NodeKind.SEQUENCE:
            return shown
        return f"{as_json(entry.key, style)}{style.colon}{shown}"


def _start(entry: _Entry) -> int:
    node = entry.key_node or entry.node
    assert node is not None  # noqa: S101 - it is in the text
    return node.start
