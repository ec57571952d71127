"""Plain objects as text, to stand in a document: YAML in blocks, YAML in brackets, JSON."""

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

from hazelcast_sidecar.manifest_text.scalars import is_text

_PLAIN = re.compile(r"(?:[A-Za-z0-9_./$+]|-(?=[A-Za-z0-9_]))[A-Za-z0-9_./:=+@%$, -]*(?<![: ])", re.ASCII)
_PLAIN_IN_FLOW = re.compile(r"(?:[A-Za-z0-9_./$+]|-(?=[A-Za-z0-9_]))[A-Za-z0-9_./=+@%$ -]*(?<! )", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


class Style(NamedTuple):
    """How a document is written, at one place."""

    step: int = 2
    """Columns from a mapping's keys to those of a mapping below one of them."""
    offset: int = 0
    """Columns from a mapping's keys to the dashes of a list below one of them."""
    dash: int = 2
    """Columns from a dash to its element."""


# --- YAML --------------------------------------------------------------------------------------------------


@lru_cache(4096, typed=True)  # a thousand members say the same words; 1 is not true
def scalar(value: str | float | None, *, in_flow: bool = False) -> str:
    """Return a scalar that kubectl, and any other reader of YAML 1.1 or 1.2, takes for this value."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _is_plain(value, in_flow=in_flow):
        return value
    if '"' in value and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _is_plain(text: str, *, in_flow: bool) -> bool:
    pattern = _PLAIN_IN_FLOW if in_flow else _PLAIN
    return (
        pattern.fullmatch(text) is not None
        and ": " not in text
        and is_text(text)
        and not _looks_like_another(text)
    )


_OTHERS = re.compile(r"[-+.0-9][-+.0-9:eE_oxXTtZz ]*|\.{3}|=|[yYnN]", re.ASCII)
"""Numbers in base 60, timestamps, a lone = and the like: more than text to some reader."""


def _looks_like_another(text: str) -> bool:
    return _OTHERS.fullmatch(text) is not None and "." * 2 not in text and not _is_address(text)


def _is_address(text: str) -> bool:
    """Return whether a text of digits, dots and a colon has too many dots for a number in any base."""
    return text.count(".") > 1


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"  # noqa: PLR2004 - hexadecimal digits


def flow(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value of YAML in brackets, in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(flow_pair(key, each) for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value, in_flow=True)


def flow_pair(key: str, value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a key with its value, to stand in braces."""
    return f"{scalar(key, in_flow=True)}: {flow(value)}"


def pair_lines(key: str, value: Any, column: int, style: Style) -> list[str]:  # noqa: ANN401 - JSON
    """Return the lines of a key with its value in a block."""
    head = f"{' ' * column}{scalar(key)}:"
    if not value or not isinstance(value, dict | list):
        return [f"{head} {flow(value) if isinstance(value, dict | list) else scalar(value)}"]
    return [head, *value_lines(value, column, style)]


def value_lines(value: Any, column: int, style: Style) -> list[str]:  # noqa: ANN401 - JSON
    """Return the lines of a collection below a key in this column."""
    if isinstance(value, dict):
        return mapping_lines(value, column + style.step, style)
    return [line for each in value for line in element_lines(each, column + style.offset, style)]


def mapping_lines(value: dict[str, Any], column: int, style: Style) -> list[str]:
    """Return the lines of a mapping whose keys stand in this column."""
    return [line for key, each in value.items() for line in pair_lines(key, each, column, style)]


def element_lines(value: Any, column: int, style: Style) -> list[str]:  # noqa: ANN401 - JSON
    """Return the lines of an element whose dash is in this column."""
    dash = f"{' ' * column}-{' ' * (style.dash - 1)}"
    if not value or not isinstance(value, dict | list):
        return [dash + (flow(value) if isinstance(value, dict | list) else scalar(value))]
    inner = column + style.dash
    lines = (
        mapping_lines(value, inner, style)
        if isinstance(value, dict)
        else [line for each in value for line in element_lines(each, inner, style)]
    )
    return [dash + lines[0][inner:], *lines[1:]]


# --- JSON --------------------------------------------------------------------------------------------------


class JsonStyle(NamedTuple):
    """How a JSON document is written."""

    indent: str | None
    """Of one level; None where a document has one line."""
    comma: str = ", "
    colon: str = ": "
    newline: str = "\n"


def as_json(value: Any, style: JsonStyle, margin: str = "") -> str:  # noqa: ANN401 - JSON
    """Return a value of JSON, whose lines but the first begin with a margin."""
    separators = (style.comma.rstrip() if style.indent is not None else style.comma, style.colon)
    text = json.dumps(value, ensure_ascii=False, indent=style.indent, separators=separators)
    return text.replace("\n", style.newline + margin) if style.indent is not None else text
