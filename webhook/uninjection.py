"""What injection put into a Pod or a workload, taken out again; what was written by hand stays.

The record in the status annotation says what was done. Injection makes lists and mappings where there were
none, and those go again when they are left empty.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from webhook.copying import recorded
from webhook.manifest import Object, Result, annotations_of, kind_of, malformed, part, record_in, under
from webhook.names import CONFIG_VOLUME, CONTAINER, COPIED, GROUP, STATUS, TMP_VOLUME
from webhook.patch import Operation, pointer
from webhook.pod import Pod
from webhook.policy import Reason
from webhook.sidecar import application_env, env_vars
from webhook.status import Status
from webhook.workload import Workload


def uninject(obj: Object) -> Result:
    """What brings a Pod or a workload to what it was before `manifest.inject`."""
    kind = kind_of(obj)
    try:
        msgspec.convert(obj, Pod if kind is None else Workload)
    except msgspec.ValidationError as error:
        return Result(Reason.INVALID, problems=[malformed(error)])
    if kind is None:
        operations = list(_from_pod(obj, {}, record_in(obj)))
    else:
        copied = recorded(annotations_of(obj))
        template = part(obj, kind.template)
        operations = under(pointer(*kind.template), _from_pod(template, copied, record_in(obj)))
        if COPIED in annotations_of(obj):
            operations += _without("/metadata/annotations", annotations_of(obj), {COPIED})
    return Result(Reason.UNINJECTED if operations else Reason.UNCHANGED, operations)


def _from_pod(pod: Object, copied: Mapping[str, str], record: Status | None) -> Iterator[Operation]:
    """Operations on a Pod or a Pod template; the last elements of lists first, so that indexes hold."""
    annotations = annotations_of(pod)
    copies = {key for key, value in copied.items() if annotations.get(key) == value}
    if record is not None:
        spec = pod["spec"]
        yield from _environment(spec, record)
        for key in ("initContainers", "containers"):
            yield from _without_named(f"/spec/{key}", spec.get(key), {CONTAINER})
        yield from _without_named("/spec/volumes", spec.get("volumes"), {CONFIG_VOLUME, TMP_VOLUME})
        if "terminationGracePeriodSeconds" in spec:
            yield from _grace_period(record)
        copies.add(STATUS)
    yield from _metadata(pod.get("metadata") or {}, copies, record)


def _metadata(metadata: Object, copies: set[str], record: Status | None) -> Iterator[Operation]:
    """What is left of a Pod template's metadata; nothing, where it had none."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    added = {GROUP} if record is not None and labels.get(GROUP) == record.group else set()
    gone = {"labels": added, "annotations": copies}
    if copies and all(gone.get(key, set()) >= set(value or ()) for key, value in metadata.items()):
        yield {"op": "remove", "path": "/metadata"}
        return
    yield from _without("/metadata/labels", labels, added)
    yield from _without("/metadata/annotations", annotations, copies)


def _environment(spec: Object, record: Status) -> Iterator[Operation]:
    ours = {variable["name"]: variable for variable in env_vars(application_env(record.port, record.cluster))}
    for index, container in enumerate(spec.get("containers") or ()):
        env = container.get("env") or []
        mine = {
            position
            for position, variable in enumerate(env)
            if (name := variable.get("name")) in ours
            and variable == ours[name]
            and f"{index}/{name}" not in record.own_env
        }
        yield from _without_positions(f"/spec/containers/{index}/env", env, mine)


def _grace_period(record: Status) -> Iterator[Operation]:
    path = "/spec/terminationGracePeriodSeconds"
    match record.own_grace:
        case int(seconds):
            yield {"op": "replace", "path": path, "value": seconds}
        case None:
            yield {"op": "remove", "path": path}


def _without_named(path: str, elements: Any, names: set[str]) -> Iterator[Operation]:  # noqa: ANN401 - JSON
    found = {index for index, element in enumerate(elements or ()) if element.get("name") in names}
    return _without_positions(path, elements or [], found)


def _without_positions(path: str, elements: list[Any], positions: set[int]) -> Iterator[Operation]:
    if positions and len(positions) == len(elements):
        yield {"op": "remove", "path": path}
        return
    for position in sorted(positions, reverse=True):
        yield {"op": "remove", "path": f"{path}/{position}"}


def _without(path: str, mapping: Mapping[str, str], keys: set[str]) -> Iterator[Operation]:
    if keys and keys >= mapping.keys():
        yield {"op": "remove", "path": path}
        return
    for key in sorted(keys):
        yield {"op": "remove", "path": path + pointer(key)}
