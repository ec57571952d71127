"""The objects of one installation, by its values."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec

from hazelcast_sidecar.installation.base import base_objects
from hazelcast_sidecar.installation.edits import EDITS, END, NAMESPACE_KEY, OPTIONAL, Edit, Expression
from hazelcast_sidecar.installation.values import Values
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS

_OF_THE_CLUSTER = {"Namespace", "ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"}


def is_namespaced(obj: JsonObject) -> bool:
    """Tell whether an object of the installation is in its namespace."""
    return obj["kind"] not in _OF_THE_CLUSTER


def identity(obj: JsonObject) -> tuple[str, str]:
    """Return the kind and the name of an object."""
    return obj["kind"], obj["metadata"]["name"]


def installation_objects(values: Values, namespace: str = INJECTOR) -> list[JsonObject]:
    """Make all objects of an installation, in the order in which they are to be applied.

    Args:
        values: checked, by `read_values`.
        namespace: the installation's own.
    """
    given = {**msgspec.to_builtins(values), NAMESPACE_KEY: namespace}
    return [_edited(obj, given) for obj in base_objects(namespace) if _is_there(obj, given)]


def removal_order(namespace: str = INJECTOR) -> list[JsonObject]:
    """Return what to delete, in that order: all else is in the namespace and goes with it.

    The webhook's configuration is the first, so that no Pod depends on the rest.

    Args:
        namespace: the installation's own.
    """
    kinds = ("MutatingWebhookConfiguration", "Namespace", "ClusterRoleBinding", "ClusterRole")
    objects = [_named(obj, namespace) for obj in base_objects(namespace) if not is_namespaced(obj)]
    return [
        {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {"name": obj["metadata"]["name"]},
        }
        for obj in sorted(objects, key=lambda obj: kinds.index(obj["kind"]))
    ]


def edits_of(obj: JsonObject) -> Iterator[Edit]:
    """Yield the changes of an object."""
    return (edit for edit in EDITS if (edit.kind, edit.name) == identity(obj))


def applies(edit: Edit, given: JsonObject) -> bool:
    """Tell whether a change is made."""
    return edit.when is None or edit.when.of(given)


def evaluated(content: object, given: JsonObject) -> object:
    """Return content with the outcome of its expressions."""
    match content:
        case Expression():
            return content.of(given)
        case dict():
            return {key: evaluated(value, given) for key, value in content.items()}
        case list():
            return [evaluated(each, given) for each in content]
        case _:
            return content


def _is_there(obj: JsonObject, given: JsonObject) -> bool:
    condition = OPTIONAL.get(identity(obj))
    return condition is None or condition.of(given)


def _edited(obj: JsonObject, given: JsonObject) -> JsonObject:
    made = _named(obj, given[NAMESPACE_KEY])
    for edit in edits_of(obj):
        if applies(edit, given):
            _put(made, edit, evaluated(edit.content, given))
    return made


def _named(obj: JsonObject, namespace: str) -> JsonObject:
    """Copy an object, with the labels of all and with the installation's namespace."""
    made = deepcopy(obj)
    metadata = made["metadata"]
    if is_namespaced(obj):
        metadata["namespace"] = namespace
    elif obj["kind"] == "Namespace":
        metadata["name"] = namespace
    metadata["labels"] = {**metadata.get("labels", {}), **INSTALLATION_LABELS}
    return made


def _put(obj: JsonObject, edit: Edit, content: object) -> None:
    *path, last = edit.path
    place: Any = obj
    for part in path:
        place = place[part]
    if last == END:
        place.append(content)
    else:
        place[last] = content


def differing_edits(defaults: JsonObject, given: JsonObject) -> Iterator[Edit]:
    """Yield the changes that some values make beside those of the default ones, or with another content."""
    for edit in EDITS:
        made_by_default = applies(edit, defaults)
        same = made_by_default and evaluated(edit.content, defaults) == evaluated(edit.content, given)
        if applies(edit, given) and not same:
            yield edit
