"""Objects as YAML for people: short lists in one line, long texts folded, and reasons as comments."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import yaml

from hazelcast_sidecar.kube.objects import JsonObject

WIDTH = 118

SEPARATOR = "---\n"
"""The line between the objects of a file."""

Comments = Mapping[tuple[str | int, ...], str]
"""Comments by the path of the part that they are about."""


class _Dumper(yaml.SafeDumper):
    """Lists of short values in one line, long texts folded, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - as PyYAML has it
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _sequence(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    short = all(isinstance(value, str) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ">" if len(text) > WIDTH // 2 else None if text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(str, _string)


def dumped(value: object) -> str:
    """Write a value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)


def commented(document: JsonObject, comments: Comments | None = None) -> str:
    """Write an object, with comments before the parts that they are about."""
    text = dumped(document)
    lines = text.splitlines(keepends=True)
    root = compose(text)
    places = [(*_place(root, path), said) for path, said in (comments or {}).items()]
    for line, column, said in sorted(places, reverse=True):
        lines[line:line] = [comment(said, column)]
    return "".join(lines)


def compose(text: str) -> yaml.Node:
    """Read the nodes of a document, which know their places.

    Raises:
        ValueError: there is none.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        raise ValueError(f"there is no object in this: {text}")
    return root


def _place(node: yaml.Node, path: Sequence[str | int]) -> tuple[int, int]:
    """Find the line and the column where a part of a document begins."""
    line, column = 0, 0
    for part in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next(pair for pair in node.value if pair[0].value == part)
            line, column = key.start_mark.line, key.start_mark.column
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line, column = node.start_mark.line, node.start_mark.column - len("- ")
        else:
            raise LookupError(path)  # noqa: TRY004 - the path leads nowhere
    return line, column


def made_from(source: str) -> str:
    """Write the comment at the top of a file that is made from a part of the package."""
    return comment(f"Made by `make manifests` from webhook/hazelcast_sidecar/{source}; change that instead.")


def comment(text: str, column: int = 0) -> str:
    """Write a text as comment lines that begin at a column."""
    lines = wrap(text, WIDTH - column - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{' ' * column}# {line}\n" for line in lines)
