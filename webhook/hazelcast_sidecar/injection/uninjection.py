"""Removal of what injection put into a Pod or a workload; what was written by hand stays.

The status annotation says what was done. Injection creates missing lists and mappings, and these are removed
when they are empty again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from hazelcast_sidecar.injection.manifests import (
    Object,
    Result,
    annotations_of,
    as_stored,
    asks,
    kind_of,
    malformed,
    part,
    status_in,
    under,
)
from hazelcast_sidecar.injection.member import application_env, env_vars
from hazelcast_sidecar.injection.patch import APPLICATION_VARIABLES, pointer
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.propagation import copied_before
from hazelcast_sidecar.injection.record import own_variables, restored, texts
from hazelcast_sidecar.manifest_text.patching import Operation
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.model.workload import Workload
from hazelcast_sidecar.names import CONFIG_VOLUME, CONTAINER, COPIED, GROUP, STATUS, TMP_VOLUME


def uninject(obj: Object) -> Result:
    """Return the operations that bring a Pod or a workload to what it was before `manifests.inject`."""
    if not asks(obj):
        return Result(Reason.NOT_INJECTED, [])
    kind = kind_of(obj)
    try:
        msgspec.convert(as_stored(obj), Pod if kind is None else Workload)
    except msgspec.ValidationError as error:
        return Result(Reason.INVALID, problems=[malformed(error)])
    status = status_in(obj)
    if kind is None:
        operations = list(_from_pod(obj, {}, status))
    else:
        copied = copied_before(annotations_of(obj))
        template = part(obj, kind.template)
        operations = under(pointer(*kind.template), _from_pod(template, copied, status))
        if COPIED in annotations_of(obj):
            operations += _without("/metadata/annotations", annotations_of(obj), {COPIED}, {})
    warnings = (
        []
        if status is None or status.reversible
        else list(_untold(part(obj, () if kind is None else kind.template)))
    )
    return Result(Reason.UNINJECTED if operations else Reason.NOT_INJECTED, operations, warnings)


def _untold(pod: Object) -> Iterator[str]:
    """Say what stays, as the webhook's status annotation does not say what was there before it."""
    variables = {
        variable["name"]
        for container in part(pod, ("spec",)).get("containers") or ()
        for variable in container.get("env") or ()
        if variable.get("name") in APPLICATION_VARIABLES
    }
    stays = [*sorted(variables), "terminationGracePeriodSeconds"]
    yield (
        "was injected by the webhook, whose status annotation does not say what was there before: "
        f"{', '.join(stays)} may be the Pod's own and stays; remove it by hand if it is not"
    )


def _from_pod(pod: Object, copied: Mapping[str, str], status: Status | None) -> Iterator[Operation]:
    """Yield operations on a Pod or a Pod template; the last elements of lists first, so that indexes hold."""
    annotations = annotations_of(pod)
    was = texts(status, pod)
    copies = {key for key, value in copied.items() if annotations.get(key) == value}
    if status is not None:
        spec = part(pod, ("spec",))
        if status.reversible:
            yield from _environment(spec, status, own_variables(status, pod), was)
        for key in ("initContainers", "containers"):
            yield from _without_named(f"/spec/{key}", spec.get(key), {CONTAINER}, was)
        yield from _without_named("/spec/volumes", spec.get("volumes"), {CONFIG_VOLUME, TMP_VOLUME}, was)
        if "terminationGracePeriodSeconds" in spec:
            yield from _grace_period(status, was)
        copies.add(STATUS)
    yield from _metadata(part(pod, ("metadata",)), copies, status, was)


def _metadata(
    metadata: Object, copies: set[str], status: Status | None, was: Mapping[str, str]
) -> Iterator[Operation]:
    """Yield the operations on a Pod template's metadata, which is removed if it did not exist."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    own_label = pointer("metadata", "labels", GROUP) in was
    added = {GROUP} if status and not own_label and labels.get(GROUP) == status.group else set()
    gone = {"labels": added, "annotations": copies}
    kept = any(f"/metadata/{key}" in was for key in gone)
    if (
        copies
        and not kept
        and all(key in gone and gone[key] >= set(value or ()) for key, value in metadata.items())
    ):
        yield restored("/metadata", was)
        return
    yield from _without("/metadata/labels", labels, added, was)
    yield from _without("/metadata/annotations", annotations, copies, was)


def _environment(
    spec: Object, status: Status, own: Collection[tuple[int, str]], was: Mapping[str, str]
) -> Iterator[Operation]:
    ours = {variable["name"]: variable for variable in env_vars(application_env(status.port, status.cluster))}
    for index, container in enumerate(spec.get("containers") or ()):
        env = container.get("env") or []
        mine = {
            position
            for position, variable in enumerate(env)
            if variable == ours.get(variable.get("name"))
            and (index, variable["name"]) not in own
        }
        yield from _without_positions(f"/spec/containers/{index}/env", env, mine, was)


def _grace_period(status: Status, was: Mapping[str, str]) -> Iterator[Operation]:
    path = "/spec/terminationGracePeriodSeconds"
    match status.own_grace:
        case int(seconds):
            yield {"op": "replace", "path": path, "value": seconds} | (
                {"text": was[path]} if path in was else {}
            )
        case None:
            yield restored(path, was)


def _without_named(path: str, elements: Any, names: set[str], was: Mapping[str, str]) -> Iterator[Operation]:  # noqa: ANN401 - JSON
    found = {index for index, element in enumerate(elements or ()) if element.get("name") in names}
    return _without_positions(path, elements or [], found, was)


def _without_positions(
    path: str, elements: list[Any], positions: set[int], was: Mapping[str, str]
) -> Iterator[Operation]:
    if positions and len(positions) == len(elements):
        yield restored(path, was)
        return
    for position in sorted(positions, reverse=True):
        yield {"op": "remove", "path": f"{path}/{position}"}


def _without(
    path: str, mapping: Mapping[str, str], keys: set[str], was: Mapping[str, str]
) -> Iterator[Operation]:
    if keys and keys >= mapping.keys():
        yield restored(path, was)
        return
    for key in sorted(keys):
        yield {"op": "remove", "path": path + pointer(key)}
