"""The record, in the status annotation of a manifest, of what was there before the injection.

A container is named as kustomize names it, `[name=app]`, since people insert, remove and reorder containers.
Older records have its index; so do new ones where a name does not tell which container it is.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hazelcast_sidecar.injection.patch import APPLICATION_VARIABLES, Record, pointer
from hazelcast_sidecar.manifest_text.patching import Operation
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP

Written = Callable[[Sequence[str]], str | None]
"""Returns how the value at a path of an object is written; None if that is unknown."""

GRACE = ("spec", "terminationGracePeriodSeconds")
LABEL = ("metadata", "labels", GROUP)
_CONTAINERS = ("spec", "containers")
_PLACES = (
    ("metadata",),
    ("metadata", "annotations"),
    ("metadata", "labels"),
    ("spec", "initContainers"),
    _CONTAINERS,
    ("spec", "volumes"),
    ("spec", "imagePullSecrets"),
    GRACE,
)
_NOTHING = object()


def record_of(pod: Any, written: Written) -> Record:  # noqa: ANN401 - JSON
    """Return what is to be recorded of a Pod or a Pod template before it is injected."""
    own_text = {}
    names = _names(pod)
    for steps in _PLACES:
        if (text := _empty_text(pod, steps, written)) is not None:
            own_text[pointer(*steps)] = text
    for index, name in enumerate(names):
        if (text := _empty_text(pod, (*_CONTAINERS, str(index), "env"), written)) is not None:
            own_text[pointer(*_CONTAINERS, name, "env")] = text
    grace = _value_at(pod, GRACE)
    if isinstance(grace, int) and (text := written(GRACE)) not in (None, str(grace)):
        own_text[pointer(*GRACE)] = str(text)
    if isinstance(label := _value_at(pod, LABEL), str):
        own_text[pointer(*LABEL)] = label
    return Record(own_text, tuple(_own_env(pod, names)))


def _empty_text(pod: Any, steps: Sequence[str], written: Written) -> str | None:  # noqa: ANN401 - JSON
    """Return how an empty value is written; None where there is none."""
    value = _value_at(pod, steps)
    if value is not None and value not in ([], {}):
        return None
    usual = "" if value is None else msgspec.json.encode(value).decode()
    return usual if (text := written(steps)) is None else text


def _own_env(pod: Any, names: Sequence[str]) -> Iterator[str]:  # noqa: ANN401 - JSON
    for index, name in enumerate(names):
        env = _value_at(pod, (*_CONTAINERS, str(index), "env"))
        for variable in env if isinstance(env, list) else ():
            if variable.get("name") in APPLICATION_VARIABLES:
                yield f"{name}/{variable['name']}"


def texts(status: Status | None, pod: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return what a status records of texts, by the places that they have in the Pod now."""
    found = {}
    prefix = pointer(*_CONTAINERS, "")
    current = _current(pod)
    for path, text in status.own_text if status else ():
        if not path.startswith(prefix):
            found[path] = text
            continue
        name, _, rest = path.removeprefix(prefix).partition("/")
        if (index := current.get(name)) is not None:
            found[f"{prefix}{index}/{rest}"] = text
    return found


def own_variables(status: Status, pod: Any) -> set[tuple[int, str]]:  # noqa: ANN401 - JSON
    """Return the containers' own variables as a status records them, with the indexes of today."""
    current = _current(pod)
    recorded = (each.rpartition("/") for each in status.own_env)
    return {(current[name], variable) for name, _, variable in recorded if name in current}


def _names(pod: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Return how each container is named in a record."""
    containers = _value_at(pod, _CONTAINERS)
    names = [each.get("name") for each in containers] if isinstance(containers, list) else []
    count = Counter(names)
    return [
        f"[name={name}]" if count[name] == 1 and _NAME.fullmatch(str(name)) else str(index)
        for index, name in enumerate(names)
    ]


_NAME = re.compile(r"[a-z0-9-]+")
"""Names that the API server takes; they need no escaping in a JSON pointer."""


def _current(pod: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    """Return the index of each container by the names that records, old ones too, may have for it."""
    names = list(enumerate(_names(pod)))
    return {str(index): index for index, _ in names} | {name: index for index, name in names}


def _value_at(obj: Any, steps: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    for step in steps:
        if isinstance(obj, list) and step.isdigit():
            obj = obj[int(step)]
        elif isinstance(obj, Mapping) and step in obj:
            obj = obj[step]
        else:
            return _NOTHING
    return obj


_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:\s+(?:#[^\r\n]*[\r\n]\s*)*|\Z))*")
"""Anchors and tags before a value, with the comments between them."""


def restored(path: str, was: Mapping[str, str]) -> Operation:
    """Remove what injection created, or restore the empty value that it replaced."""
    text = was.get(path)
    if text is None:
        return {"op": "remove", "path": path}
    properties = _PROPERTIES.match(text)
    bare = text[properties.end() :] if properties else text
    value: Any = [] if bare.startswith("[") else {} if bare.startswith("{") else None
    return {"op": "replace", "path": path, "value": value, "text": text}
