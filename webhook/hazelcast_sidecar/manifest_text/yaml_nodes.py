"""The nodes of one YAML document."""

from collections.abc import Callable
from typing import Any

from hazelcast_sidecar.manifest_text.content import MERGE, is_merge
from hazelcast_sidecar.manifest_text.failures import UnreadableError
from hazelcast_sidecar.manifest_text.nodes import Node, NodeKind
from hazelcast_sidecar.manifest_text.scalars import Scalar, as_key, plain, tagged
from hazelcast_sidecar.manifest_text.yaml_events import (
    MAX_DEPTH,
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    reader_of,
    reading,
)

MERGE_KEY = object()
"""Value of the key `<<` where it merges."""


def yaml_nodes(text: str, column: int = 0, index: int = 0) -> Node | None:
    """Read the first node of a text; None where there is none.

    Args:
        text: of a document, or a part of one that begins with a node.
        column: at which it begins.
        index: at which it begins in the whole, for the nodes' places there.

    Raises:
        UnreadableError: it is not YAML.
    """
    with reading():
        node = _first_node(reader_of(" " * column + text))
    return None if node is None else _moved(node, index - column)


def _first_node(next_event: Callable[[], Any]) -> Node | None:
    stack: list[Node] = []
    while True:
        event = next_event()
        kind = type(event)
        if kind is ScalarEvent:
            node = _scalar(event)
        elif kind is AliasEvent:
            node = _node(NodeKind.ALIAS, event, event.anchor)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if len(stack) == MAX_DEPTH:
                raise UnreadableError(f"is nested in more than {MAX_DEPTH} levels", event.start_mark.index)
            stack.append(
                _collection(event, NodeKind.MAPPING if kind is MappingStartEvent else NodeKind.SEQUENCE)
            )
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            node = stack.pop()
            _close(node, event)
        elif kind is DocumentEndEvent or kind is StreamEndEvent:
            return None
        else:
            continue
        if not stack:
            return node
        stack[-1].children.append(node)


def _node(kind: NodeKind, event: Any, value: object = None) -> Node:  # noqa: ANN401 - PyYAML has no types
    start = event.start_mark
    return Node(kind, start.index, event.end_mark.index, start.column, value)


def _scalar(event: Any) -> Node:  # noqa: ANN401 - as above
    node = _node(NodeKind.SCALAR, event, _value(event))
    node.anchor = event.anchor
    node.is_block_text = event.style in ("|", ">")
    return node


def _value(event: Any) -> object:  # noqa: ANN401 - as above
    text: str = event.value
    if text == MERGE and is_merge(event):
        return MERGE_KEY
    if event.tag is not None and not event.implicit[0]:
        return tagged(event.tag, text, is_plain=event.style is None)
    return plain(text) if event.implicit[0] else text


def _collection(event: Any, kind: NodeKind) -> Node:  # noqa: ANN401 - as above
    node = _node(kind, event)
    node.is_flow = bool(event.flow_style)
    node.anchor = event.anchor
    return node


def _close(node: Node, event: Any) -> None:  # noqa: ANN401 - as above
    if node.is_flow or not node.children:
        node.end = event.end_mark.index
        return
    # libyaml ends a block where the next token begins, behind comments.
    node.end = max(child.end for child in node.children[-2:])
    if node.kind is NodeKind.MAPPING:
        node.column = node.children[0].column


def key_text(node: Node) -> str | None:
    """Return a mapping's key as JSON has it; None where it merges, or is none."""
    if node.kind is not NodeKind.SCALAR or node.value is MERGE_KEY or node.value is None:
        return None
    value: Scalar = node.value
    return as_key(value)


def _moved(root: Node, by: int) -> Node:
    """Count indexes from the text's own beginning."""
    if by:
        waiting = [root]
        while waiting:
            node = waiting.pop()
            node.start += by
            node.end += by
            waiting += node.children
    return root
