"""CEL source from Python values, some of which are known only when the expression is evaluated.

An `Unknown` represents such a value in the results of the program's functions: it is text, so it can be
formatted and joined like any other. If a value decides about the form of the whole, the whole is made once
for each case, and `choice` finds what the cases share.
Source: CEL specification, "Values"; Kubernetes documentation, "Common Expression Language in Kubernetes".
"""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple, Self, SupportsIndex

import msgspec

_WIDTH = 100
# Private use characters: no text of ours, or valid text of a user, has these.
_MARK = re.compile("\ue000([0-9a-f]*)\ue001")
_TOKEN = re.compile(r"\w+|\W")


class Unknown(str):
    """The value of a CEL expression, as a text that carries the expression.

    Args:
        expression: the CEL source.
        text: whether its value is a text.
    """

    __slots__ = ("expression", "text")

    expression: str
    text: bool

    def __new__(cls, expression: str, *, text: bool = True) -> Self:
        """Return the text with the expression in it."""
        carried = expression if text else f"string({expression})"
        made = super().__new__(cls, f"\ue000{carried.encode().hex()}\ue001")
        made.expression = expression
        made.text = text
        return made

    def __add__(self, other: object, /) -> str:
        """Return a sum for evaluation; with a text, the concatenation."""
        if isinstance(other, int):
            return Unknown(f"{self.expression} + {other}", text=False)
        return super().__add__(other)  # type: ignore[operator]

    def replace(self, old: str, new: str, _count: SupportsIndex = -1, /) -> "Unknown":
        """Return the same replacement for evaluation."""
        return Unknown(f"{self.expression}.replace({source(old)}, {source(new)})")


def in_json(value: object) -> object:
    """Return what msgspec's JSON encoder writes for an Unknown; for texts without control characters.

    Raises:
        TypeError: it is not an Unknown.
    """
    if not isinstance(value, Unknown):
        raise TypeError(f"no JSON of {type(value)}")
    if not value.text:
        return msgspec.Raw(str(value).encode())
    return str(value.replace("\\", "\\\\").replace('"', '\\"'))


class Code(NamedTuple):
    """A CEL expression."""

    expression: str


class Maybe(NamedTuple):
    """An element of a list or of a mapping that is there if a condition holds."""

    condition: str
    node: Any


class Text(NamedTuple):
    """A text with parts that are known later."""

    parts: tuple[str | Code, ...]


def node(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Turn a JSON value with Unknowns into a tree of mappings, lists, Texts, Codes and scalars."""
    match value:
        case dict():
            return {key: node(each) for key, each in value.items()}
        case list() | tuple():
            return [node(each) for each in value]
        case Unknown(text=False):
            return Code(value.expression)
        case str():
            return _text(
                Code(bytes.fromhex(part).decode()) if position % 2 else part
                for position, part in enumerate(_MARK.split(value))
            )
        case _:
            return value


def _text(parts: Iterator[str | Code]) -> Text:
    joined: list[str | Code] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(last := joined[-1], str):
            joined[-1] = last + part
        elif part:
            joined.append(part)
    return Text(tuple(joined))


def choice(condition: str, yes: Any, no: Any) -> Any:  # noqa: ANN401 - trees
    """Make one tree for two cases, which differ as little as possible: `yes` if the condition holds."""
    if yes == no:
        return yes
    otherwise = f"!({condition})"
    match yes, no:
        case (Maybe(), _) | (_, Maybe()):
            there, either = zip(*(_taken_apart(each) for each in (yes, no)), strict=True)
            return Maybe("({} ? {} : {})".format(condition, *there), choice(condition, *either))
        case dict(), dict():
            return {
                key: choice(condition, yes[key], no[key])
                if key in yes and key in no
                else _maybe(condition, yes[key])
                if key in yes
                else _maybe(otherwise, no[key])
                for key in {**yes, **no}
            }
        case list(), list():
            return list(_elements(condition, otherwise, yes, no))
        case Text(), Text():
            return _text(_parts(condition, yes, no))
        case _:
            return Code(f"({condition} ? {source(yes)} : {source(no)})")


def _taken_apart(tree: Any) -> tuple[str, Any]:  # noqa: ANN401
    """Return under which condition a tree is there, and the tree itself."""
    return tree if isinstance(tree, Maybe) else ("true", tree)


def _elements(condition: str, otherwise: str, yes: list[Any], no: list[Any]) -> Iterator[Any]:
    for tag, i, j, k, m in _differences([_name(each) for each in yes], [_name(each) for each in no]):
        if tag == "equal":
            yield from (choice(condition, *pair) for pair in zip(yes[i:j], no[k:m], strict=True))
        else:
            yield from (_maybe(condition, each) for each in yes[i:j])
            yield from (_maybe(otherwise, each) for each in no[k:m])


def _maybe(condition: str, element: Any) -> Maybe:  # noqa: ANN401 - a tree
    """Put an element under a condition, in addition to the one that it has."""
    if isinstance(element, Maybe):
        return Maybe(f"{condition} && {element.condition}", element.node)
    return Maybe(condition, element)


def _name(element: Any) -> str:  # noqa: ANN401
    """Return what tells an element of a list from the others."""
    return repr(element["name"] if isinstance(element, dict) else element)


def _parts(condition: str, yes: Text, no: Text) -> Iterator[str | Code]:
    left, right = _tokens(yes), _tokens(no)
    for tag, i, j, k, m in _differences(left, right):
        if tag == "equal":
            yield from left[i:j]
        else:
            cases = (source(_text(iter(side))) for side in (left[i:j], right[k:m]))
            yield Code("({} ? {} : {})".format(condition, *cases))


def _tokens(text: Text) -> list[str | Code]:
    found: list[str | Code] = []
    for part in text.parts:
        found += [part] if isinstance(part, Code) else _TOKEN.findall(part)
    return found


def _differences(left: list[Any], right: list[Any]) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, left, right, autojunk=False).get_opcodes()


def matches(text: str, pattern: re.Pattern[str] | str) -> str:
    """Return the condition that a regular expression matches the whole of a text."""
    expression = pattern if isinstance(pattern, str) else pattern.pattern
    return f"{text}.matches({source(f'^(?:{expression})$')})"


def source(value: Any, indent: int = 0) -> str:  # noqa: ANN401 - JSON or a tree
    """Return CEL source of a JSON value or of a tree; on several lines if it is long."""
    match value:
        case Unknown(text=False) | str() | tuple() if not isinstance(value, (Code, Text)):
            return source(node(value), indent)
        case Code(expression):
            return expression
        case Text(parts):
            literals = [part.expression if isinstance(part, Code) else _literal(part) for part in parts]
            return " + ".join(literals) or '""'
        case dict():
            return _enclosed(
                "{", [_entry(key, each, value, indent) for key, each in value.items()], "}", indent
            )
        case list():
            return _enclosed("[", [_element(each, value, indent) for each in value], "]", indent)
        case _:
            return json.dumps(value)


def _literal(text: str) -> str:
    """Return a CEL text: a JSON text, except for characters outside the BMP, which must not be escaped."""
    return json.dumps(text, ensure_ascii=False)


def _entry(key: str, value: Any, entries: dict[str, Any], indent: int) -> str:  # noqa: ANN401
    # CEL in Kubernetes wants the values of a literal to have one type; dyn() makes them so.
    dynamic = len({_type(each) for each in entries.values()}) > 1
    if isinstance(value, Maybe):
        return f"?{_literal(key)}: {_optional(value, indent, dynamic=dynamic)}"
    return f"{_literal(key)}: {_element_source(value, indent, dynamic=dynamic)}"


def _element(value: Any, elements: list[Any], indent: int) -> str:  # noqa: ANN401
    dynamic = len({_type(each) for each in elements}) > 1
    if isinstance(value, Maybe):
        return f"?{_optional(value, indent, dynamic=dynamic)}"
    return _element_source(value, indent, dynamic=dynamic)


def _optional(value: Maybe, indent: int, *, dynamic: bool) -> str:
    there = _element_source(value.node, indent, dynamic=dynamic)
    return f"{value.condition} ? optional.of({there}) : optional.none()"


def _element_source(value: Any, indent: int, *, dynamic: bool) -> str:  # noqa: ANN401
    written = source(value, indent + 2)
    return f"dyn({written})" if dynamic else written


def _type(value: Any) -> str:  # noqa: ANN401
    """Return the CEL type of a tree, as far as it must be the same for all elements."""
    match value:
        case Maybe(node=inner):
            return _type(inner)
        case dict():
            inner_types = {_type(each) for each in value.values()}
            return f"map({inner_types.pop() if len(inner_types) == 1 else 'dyn'})"
        case list():
            inner_types = {_type(each) for each in value}
            return f"list({inner_types.pop() if len(inner_types) == 1 else 'dyn'})"
        case str() | Text():
            return "string"
        case bool():
            return "bool"
        case _:
            return "int"


def _enclosed(opening: str, elements: list[str], closing: str, indent: int) -> str:
    line = f"{opening}{', '.join(elements)}{closing}"
    if len(line) + indent <= _WIDTH and "\n" not in line:
        return line
    margin = " " * indent
    inner = ",\n".join(f"{margin}  {element}" for element in elements)
    return f"{opening}\n{inner}\n{margin}{closing}"
