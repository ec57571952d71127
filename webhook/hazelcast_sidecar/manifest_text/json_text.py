"""JSON documents: their content, and their nodes."""

import json
import math
import re
from collections import Counter
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from hazelcast_sidecar.manifest_text.content import Content, Json, Span
from hazelcast_sidecar.manifest_text.failures import UnreadableError
from hazelcast_sidecar.manifest_text.nodes import Node, NodeKind
from hazelcast_sidecar.manifest_text.render import JsonStyle
from hazelcast_sidecar.manifest_text.yaml_events import MAX_DEPTH

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')
_INDENTED = re.compile(r"[{\[](?P<newline>\r?\n)[ \t\r\n]*?(?P<indent>[ \t]+)")
_COLON = re.compile(r'"(?:[^"\\]|\\.)*"[ \t]*:(?P<space> *)')
_COMMA = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[\]}]),(?P<space> *)(?=")')
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF = re.compile(r"\\u[dD]")


def _as_go_reads(text: str) -> str:
    """Return a text in which halves of surrogate pairs are replaced."""
    return _SURROGATE.sub("\ufffd", text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _float(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text:.80} is more than a number of 64 bits")


def read_json(text: str, start: int) -> tuple[Content, int]:
    """Read one value; return also the index behind it.

    Args:
        text: of a file, or a part of one.
        start: index of the value.

    Raises:
        UnreadableError: it is not JSON, or nested too deeply.
    """
    repeated: list[tuple[int, str]] = []
    is_whole = _HALF.search(text) is None

    def collected(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        mapping = dict(pairs) if is_whole else {_as_go_reads(key): value for key, value in pairs}
        if len(mapping) < len(pairs):
            times = Counter(key for key, _ in pairs)
            repeated.append((start, next(key for key in times if times[key] > 1)))
        return mapping

    decoder = json.JSONDecoder(object_pairs_hook=collected, parse_constant=_no_constant, parse_float=_float)
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise UnreadableError(error.msg, error.pos) from error
    except ValueError as error:
        raise UnreadableError(str(error), start) from error
    except RecursionError as error:
        raise UnreadableError(f"is nested in more than {MAX_DEPTH} levels", start) from error
    items = _items(text, start) if isinstance(value, dict) and _is_long_list(value) else []
    return Content(_checked(value), items, has_anchors=False, repeated=repeated), end


def _is_long_list(value: dict[str, Json]) -> bool:
    return isinstance(value.get("items"), list) and bool(value["items"])


def _checked(value: Json) -> Json:
    """Bound the depth, and have half a surrogate pair as Go reads it."""
    waiting: list[tuple[Json, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UnreadableError(f"is nested in more than {MAX_DEPTH} levels")
        for key, each in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(each, dict | list):
                waiting.append((each, depth + 1))
            elif isinstance(each, str) and _SURROGATE.search(each):
                node[key] = _as_go_reads(each)
    return value


def _items(text: str, start: int) -> list[Span]:
    """Find the elements of `items` at the root, reading each value on the way once more."""
    decode = json.JSONDecoder().raw_decode
    spans: list[Span] = []
    at = _after(text, start + 1)
    while text[at] == '"':
        key, at = decode(text, at)
        at = _after(text, _after(text, at) + 1)
        if key == "items" and text[at] == "[":
            spans = []
            at = _after(text, at + 1)
            while text[at] != "]":
                _, end = decode(text, at)
                spans.append(Span(at, end, 0))
                at = _after(text, end)
                at = _after(text, at + 1) if text[at] == "," else at
            at += 1
        else:
            _, at = decode(text, at)
        at = _after(text, at)
        if text[at] != ",":
            break
        at = _after(text, at + 1)
    return spans


def _after(text: str, index: int) -> int:
    """Return the index behind white space."""
    return _SPACE.match(text, index).end()  # type: ignore[union-attr]


def json_style(text: str, start: int) -> JsonStyle:
    """Return how the JSON value that begins at an index is written."""
    line = _INDENTED.match(text, start)
    colon = _COLON.search(text, start)
    comma = _COMMA.search(text, start)
    return JsonStyle(
        indent=line["indent"] if line else None,
        comma=f",{comma['space']}" if comma else ", ",
        colon=f":{colon['space']}" if colon else ": ",
        newline=line["newline"] if line else "\n",
    )


def json_nodes(text: str, start: int = 0) -> Node:
    """Read the nodes of the JSON value at an index, which has been read before and is known to be one."""
    stack: list[Node] = []
    for match in _TOKEN.finditer(text, start):
        found = match[0]
        if found in ",:":
            continue
        if found in "{[":
            node = Node(NodeKind.MAPPING if found == "{" else NodeKind.SEQUENCE, match.start(), -1, 0)
            node.is_flow = True
            stack.append(node)
            continue
        if found in "}]":
            node = stack.pop()
            node.end = match.end()
        else:
            node = Node(NodeKind.SCALAR, match.start(), match.end(), 0, _scalar(found))
        if not stack:
            return node
        stack[-1].children.append(node)
    raise UnreadableError("is not JSON")


def _scalar(text: str) -> Any:  # noqa: ANN401 - JSON
    if text[0] == '"':
        return _as_go_reads(scanstring(text, 1)[0])
    return json.loads(text)
