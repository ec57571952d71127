"""Nodes of a text, each with its place: what an edit needs to know of YAML and of JSON alike."""

from enum import Enum
from typing import Any


class NodeKind(Enum):
    """What a node is."""

    SCALAR = "scalar"
    MAPPING = "mapping"
    SEQUENCE = "sequence"
    ALIAS = "alias"


class Node:
    """A node, from its first character to behind its last.

    Attributes:
        kind: what it is.
        start: index of its first character, which may be that of its anchor or tag.
        end: index behind its last character; of a collection in block style, behind that of its last element.
        column: of its first character; of a mapping in block style, of its keys.
        is_flow: whether a collection is written in brackets.
        children: of a mapping its keys and values in turn, of a sequence its elements.
        value: of a scalar what it means, of an alias its name.
        anchor: its name for aliases.
        is_block_text: whether a scalar is written below its key, behind | or >.
    """

    __slots__ = ("anchor", "children", "column", "end", "is_block_text", "is_flow", "kind", "start", "value")

    def __init__(self, kind: NodeKind, start: int, end: int, column: int, value: Any = None) -> None:  # noqa: ANN401 - a scalar
        self.kind = kind
        self.start, self.end, self.column = start, end, column
        self.value = value
        self.children: list[Node] = []
        self.is_flow = self.is_block_text = False
        self.anchor: str | None = None

    @property
    def is_empty_text(self) -> bool:
        """Return whether nothing is written: the value of `key:`, which is null."""
        return self.kind is NodeKind.SCALAR and self.start == self.end

    @property
    def pairs(self) -> list[tuple["Node", "Node"]]:
        """Return a mapping's keys with their values."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))
