"""A JSON Patch on plain objects: what the text of a changed document must say."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Operation = Mapping[str, Any]
"""One operation of a JSON Patch (RFC 6902)."""


def patched(value: Any, operations: Iterable[Operation]) -> Any:  # noqa: ANN401 - JSON
    """Return a value with operations done on it: add, replace and remove.

    What does not change is shared with the value, which itself stays as it is; hence a thousand objects of a
    List cost a thousand members and no copy of the rest.
    """
    for operation in operations:
        value = _done(value, steps_of(operation["path"]), operation)
    return value


def steps_of(pointer: str) -> list[str]:
    """Return the keys and indexes of a JSON pointer (RFC 6901)."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def value_at(value: Any, steps: Iterable[str]) -> Any:  # noqa: ANN401 - JSON
    """Return what a value has at the end of steps, all of which are there."""
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _done(value: Any, steps: list[str], operation: Operation) -> Any:  # noqa: ANN401 - JSON
    if not steps:
        return operation["value"]
    step, *rest = steps
    if isinstance(value, list):
        changed: Any = list(value)
        at: Any = len(value) if step == "-" else int(step)
        if not rest and operation["op"] == "add":
            changed.insert(at, operation["value"])
            return changed
    else:
        changed, at = dict(value), step
    if not rest and operation["op"] == "remove":
        del changed[at]
    elif rest:
        changed[at] = _done(changed[at], rest, operation)
    else:
        changed[at] = operation["value"]
    return changed


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether two values are one in JSON: unlike in Python, 1, 1.0 and true differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
