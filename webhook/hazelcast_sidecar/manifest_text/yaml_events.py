"""The events of a YAML document, by libyaml, and the bounds on what is read.

Memory and time follow the length of the text: nesting is bounded, and so is what aliases unfold to.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from hazelcast_sidecar.manifest_text.failures import UnreadableError

__all__ = [
    "AliasEvent",
    "DocumentEndEvent",
    "MappingEndEvent",
    "MappingStartEvent",
    "ScalarEvent",
    "SequenceEndEvent",
    "SequenceStartEvent",
    "StreamEndEvent",
]

MAX_DEPTH = 200
"""Levels of nesting; the schemas of custom resources, the deepest that are in use, have about fifty."""

_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

BYTE_ORDER_MARK = "\ufeff"


def reader_of(text: str) -> Callable[[], Any]:
    """Return a function that gives one event of a text after the other, to be called within `reading`.

    Args:
        text: without a byte order mark, which libyaml would count as a column.

    Raises:
        UnreadableError: it has a character that is not allowed.
    """
    if (end := text.find("\0")) >= 0:
        # libyaml takes it for the end of the text.
        raise UnreadableError("the character U+0000 is not allowed", end)
    with reading():
        get: Callable[[], Any] = _Parser(text).get_event
    return get


@contextmanager
def reading() -> Iterator[None]:
    """Turn errors of PyYAML into ours: once for a text, as a check around each event costs a third more.

    Raises:
        UnreadableError: the text is not YAML.
    """
    try:
        yield
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> UnreadableError:
    """Return what is wrong, and where, without PyYAML's drawing of the place."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.problem, error.context)))
        return UnreadableError(said, mark.index if mark else 0)
    if isinstance(error, yaml.reader.ReaderError):
        return UnreadableError(f"the character U+{_code(error.character):04X} is not allowed", error.position)
    return UnreadableError(" ".join(str(error).split()))


def _code(character: str | int) -> int:
    """Return a character's number, as which PyYAML has those of a text."""
    return character if isinstance(character, int) else ord(character)
