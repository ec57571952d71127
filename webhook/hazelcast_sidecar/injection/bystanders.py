"""Objects with our annotations that are not injected in manifests, and what the annotations do there."""

from collections.abc import Iterator
from typing import Any

from hazelcast_sidecar.injection.manifests import Object, annotations_of, labels_of, part
from hazelcast_sidecar.model.opt_in import ASKED, asked
from hazelcast_sidecar.names import INJECT, PREFIX

_MAX_STEPS = 6
"""The longest path from the root to a Pod template: `spec.jobTemplate.spec.template` has four steps."""


def remark(obj: Object) -> str | None:
    """Return what our annotations do on an object of a kind that is not injected; None without any."""
    own = any(str(key).startswith(PREFIX) for key in annotations_of(obj))
    found = next(_templates(obj, "", 0), None)
    if found is None:
        return f"annotations of {PREFIX.rstrip('/')} have no effect on this kind of object" if own else None
    path, template = found
    where = f"{path}.metadata.annotations"
    inside, labels = annotations_of(template), labels_of(template)
    if labels.get(INJECT) == ASKED:
        where = f"{path}.metadata.labels"
    if asked(inside, labels) == ASKED:
        return f"this kind is not changed in manifests; the webhook injects its Pods, as {where} asks for it"
    if own or any(str(key).startswith(PREFIX) for key in inside):
        return (
            f"this kind is not changed in manifests, and the webhook does not inject its Pods either: "
            f'set {INJECT}: "true" in {where}'
        )
    return None


def _templates(value: Any, path: str, steps: int) -> Iterator[tuple[str, Object]]:  # noqa: ANN401 - JSON
    """Yield where Pod templates are, and each: a mapping whose spec has containers."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _templates(each, f"{path}[{index}]", steps)
    elif isinstance(value, dict):
        if path and isinstance(part(value, ("spec",)).get("containers"), list):
            yield path, value
        elif steps < _MAX_STEPS:
            for key, each in value.items():
                yield from _templates(each, f"{path}.{key}" if path else key, steps + 1)
