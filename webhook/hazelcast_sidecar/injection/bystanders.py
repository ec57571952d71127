"""Objects with our annotations that are not injected in manifests, and what the annotations do there."""

from collections.abc import Iterator
from typing import Any

from hazelcast_sidecar.injection.manifests import Object, annotations_of, part
from hazelcast_sidecar.names import INJECT, PREFIX

_MAX_STEPS = 6
"""The longest path from the root to a Pod template: `spec.jobTemplate.spec.template` has four steps."""


def remark(obj: Object) -> str | None:
    """Return what our annotations do on an object of a kind that is not injected; None without any."""
    own = any(str(key).startswith(PREFIX) for key in annotations_of(obj))
    template = next(_templates(obj, ()), None)
    if template is None:
        return f"annotations of {PREFIX.rstrip('/')} have no effect on this kind of object" if own else None
    where = f"{'.'.join(template)}.metadata.annotations"
    inside = annotations_of(part(obj, template))
    if inside.get(INJECT) == "true":
        return f"this kind is not changed in manifests; the webhook injects its Pods, as {where} asks for it"
    if own or any(str(key).startswith(PREFIX) for key in inside):
        return (
            f"this kind is not changed in manifests, and the webhook does not inject its Pods either: "
            f'set {INJECT}: "true" in {where}'
        )
    return None


def _templates(obj: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - JSON
    """Yield the paths of Pod templates: of mappings whose spec has containers."""
    if path and isinstance(part(obj, ("spec",)).get("containers"), list):
        yield path
    elif len(path) < _MAX_STEPS:
        for key, value in obj.items():
            if isinstance(value, dict):
                yield from _templates(value, (*path, key))
