"""The content of one YAML document as plain objects, as kubectl has them after turning it into JSON."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from hazelcast_sidecar.manifest_text.failures import UnreadableError
from hazelcast_sidecar.manifest_text.scalars import Scalar, as_key, plain, tagged
from hazelcast_sidecar.manifest_text.yaml_events import (
    MAX_DEPTH,
    AliasEvent,
    DocumentEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
    reader_of,
    reading,
)

Json = Any
"""A mapping with texts as keys, a list, or a scalar."""

MERGE = "<<"
_MERGE_TAG = "tag:yaml.org,2002:merge"

_MANY_TIMES = 10
_UNFOLDED_ANYWAY = 1000
"""Nodes: aliases may unfold to a multiple of the text, and to this many more."""

_NO_KEY = object()
_MERGE_KEY = object()


class Span(NamedTuple):
    """The place of an element of the list `items` in its document's text, in characters."""

    start: int
    end: int
    column: int


class Content(NamedTuple):
    """The content of a document."""

    value: Json
    items: Sequence[Span | None]
    """Where elements of `items` at the root are, which a Kubernetes List has; None: no collection."""
    has_anchors: bool
    repeated: list[tuple[int, str]]
    """Duplicate keys of a mapping, of which kubectl takes the last, with their index."""


class _Frame:
    """A collection that has not ended yet."""

    __slots__ = ("anchor", "is_merged", "key", "mapping", "nodes", "sequence", "value")

    def __init__(self, anchor: str | None, mapping: dict[str, Json] | None) -> None:
        self.anchor = anchor
        self.mapping = mapping
        self.sequence: list[Json] = []
        self.key: object = _NO_KEY
        self.is_merged = False
        self.nodes = 1


def read_yaml(text: str) -> Content:
    """Read the first document of a text; kubectl does not read what follows it either.

    Raises:
        UnreadableError: it is not YAML, or none that can be turned into JSON, or too deep, or unfolds to many
            times its text.
    """
    with reading():
        return _Reader(text).read()


class _Reader:
    """Builder of the content from events, without recursion."""

    def __init__(self, text: str) -> None:
        self._next = reader_of(text)
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._shared: dict[str, str] = {}
        self._items: list[Span | None] = []
        self._repeated: list[tuple[int, str]] = []
        self._unfolded = 0
        self._root: Json = None

    def read(self) -> Content:  # noqa: C901, PLR0912 - a call for each scalar costs a quarter of the time
        """Read events until the document ends; most are plain scalars, handled on the spot."""
        stack, shared = self._stack, self._shared
        next_event, no_key, merge_key = self._next, _NO_KEY, _MERGE_KEY
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                text = event.value
                if text == MERGE or event.tag is not None or event.anchor is not None or not stack:
                    self._complete(self._scalar(event), event, 1)
                    continue
                value = plain(text) if event.implicit[0] else text
                if type(value) is str:
                    value = shared.setdefault(value, value)
                elif type(value) is float and not math.isfinite(value):
                    raise UnreadableError(f"{text} is not a JSON number", event.start_mark.index)
                frame = stack[-1]
                mapping = frame.mapping
                key: Any = frame.key
                if mapping is None:
                    frame.sequence.append(value)
                elif key is no_key:
                    frame.key = value if type(value) is str else self._key(value, event)
                elif key is merge_key:
                    self._attach(value, event, 0)
                else:
                    if key in mapping and not frame.is_merged:
                        self._repeated.append((event.start_mark.index, key))
                    mapping[key] = value
                    frame.key = no_key
                frame.nodes += 1
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, is_mapping=kind is MappingStartEvent)
            elif kind is AliasEvent:
                self._complete(*self._aliased(event))
            elif kind is DocumentEndEvent or kind is StreamEndEvent:
                return Content(self._root, self._items, bool(self._anchors), self._repeated)
            elif stack and event is not None:
                self._close(event)

    def _open(self, event: Any, *, is_mapping: bool) -> None:  # noqa: ANN401 - PyYAML has no types
        stack = self._stack
        if len(stack) == MAX_DEPTH:
            raise UnreadableError(f"is nested in more than {MAX_DEPTH} levels", event.start_mark.index)
        stack.append(_Frame(event.anchor, {} if is_mapping else None))
        if len(stack) == 2 and self._is_in_items():  # noqa: PLR2004 - the root, the list
            self._items = []  # of a key that is there twice, the last counts
        elif len(stack) == 3 and self._is_in_items():  # noqa: PLR2004 - as above, and its element
            scalars_and_aliases = len(stack[1].sequence) - len(self._items)
            self._items += [None] * scalars_and_aliases
            mark = event.start_mark
            self._items.append(Span(mark.index, -1, mark.column))

    def _is_in_items(self) -> bool:
        root, items = self._stack[0], self._stack[1]
        return root.key == "items" and items.mapping is None

    def _close(self, event: Any) -> None:  # noqa: ANN401 - as above
        frame = self._stack.pop()
        if len(self._stack) == 2 and self._is_in_items():  # noqa: PLR2004 - as above
            opened = self._items[-1]
            assert opened is not None  # noqa: S101 - it was added when the collection began
            self._items[-1] = opened._replace(end=event.end_mark.index)
        value = frame.sequence if frame.mapping is None else frame.mapping
        if frame.anchor is not None:
            self._anchors[frame.anchor] = value, frame.nodes
        self._attach(value, event, frame.nodes)

    def _scalar(self, event: Any) -> Scalar:  # noqa: ANN401 - as above
        text: str = event.value
        if event.tag is not None and not event.implicit[0]:
            try:
                value = tagged(event.tag, text, is_plain=event.style is None)
            except UnreadableError as error:
                raise UnreadableError(str(error), event.start_mark.index) from error
        elif event.implicit[0]:
            if text == MERGE:
                return text
            value = plain(text)
            if isinstance(value, float) and not math.isfinite(value):
                raise UnreadableError(f"{text} is not a JSON number", event.start_mark.index)
        else:
            value = text
        # A thousand objects of one shape have the same words.
        return self._shared.setdefault(value, value) if isinstance(value, str) else value

    def _complete(self, value: Json, event: Any, nodes: int) -> None:  # noqa: ANN401 - as above
        anchor = event.anchor
        if anchor is not None and type(event) is ScalarEvent:
            self._anchors[anchor] = value, 1
        self._attach(value, event, nodes)

    def _aliased(self, event: Any) -> tuple[Json, Any, int]:  # noqa: ANN401 - as above
        found = self._anchors.get(event.anchor)
        if found is None:
            raise UnreadableError(f"*{event.anchor} refers to nothing before it", event.start_mark.index)
        value, nodes = found
        self._unfolded += nodes
        written = sum(frame.nodes for frame in self._stack) - (self._unfolded - nodes)
        if self._unfolded > _MANY_TIMES * written + _UNFOLDED_ANYWAY:
            raise UnreadableError("its aliases unfold to many times its text", event.start_mark.index)
        return value, event, nodes

    def _attach(self, value: Json, event: Any, nodes: int) -> None:  # noqa: ANN401 - as above
        """Put a value where it belongs: as a key, under the last key, or at the end of a list."""
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.nodes += nodes
        mapping = frame.mapping
        if mapping is None:
            frame.sequence.append(value)
        elif frame.key is _NO_KEY:
            frame.key = self._key(value, event)
        elif frame.key is _MERGE_KEY:
            _merge(mapping, value, event)
            frame.is_merged, frame.key = True, _NO_KEY
        else:
            key: Any = frame.key
            if key in mapping and not frame.is_merged:
                self._repeated.append((event.start_mark.index, key))
            mapping[key] = value
            frame.key = _NO_KEY

    def _key(self, value: Json, event: Any) -> object:  # noqa: ANN401 - as above
        if isinstance(value, dict | list):
            raise UnreadableError("a collection cannot be a key", event.start_mark.index)
        if value == MERGE and is_merge(event):
            return _MERGE_KEY
        try:
            return as_key(value)
        except UnreadableError as error:
            raise UnreadableError(str(error), event.start_mark.index) from error


def is_merge(event: Any) -> bool:  # noqa: ANN401 - as above
    """Tell whether a scalar `<<` is the key that merges, and not the text."""
    return type(event) is ScalarEvent and (event.implicit[0] or event.tag == _MERGE_TAG)


def _merge(mapping: dict[str, Json], value: Json, event: Any) -> None:  # noqa: ANN401 - as above
    """Add what a merge key brings, without overriding, as go-yaml does."""
    merged = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in merged):
        raise UnreadableError("<< is for a mapping, or a list of mappings", event.start_mark.index)
    for each in reversed(merged):
        mapping.update(each)
