"""Removal of what injection put into a Pod or a workload; what was written by hand stays.

The status annotation says what was done. Injection creates missing lists and mappings, and these are removed
when they are empty again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection.intact import is_member
from hazelcast_sidecar.injection.manifests import (
    Object,
    Result,
    annotations_of,
    as_stored,
    asks,
    kind_of,
    malformed,
    part,
    pod_in,
    status_in,
    under,
)
from hazelcast_sidecar.injection.member import application_env, env_vars
from hazelcast_sidecar.injection.patch import APPLICATION_VARIABLES, pointer
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.propagation import copied_before, labelled_before
from hazelcast_sidecar.injection.record import own_variables, restored, texts
from hazelcast_sidecar.manifest_text.patching import Operation
from hazelcast_sidecar.model.opt_in import ASKED
from hazelcast_sidecar.model.pod import Container, Pod
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.model.workload import Workload
from hazelcast_sidecar.names import CONTAINER, COPIED, GROUP, INJECT, MEMBER_VOLUMES, STATUS


def uninject(obj: Object) -> Result:
    """Return the operations that bring a Pod or a workload to what it was before `manifests.inject`."""
    undone = undo(obj)
    if undone.problems:
        return undone  # nothing can be looked for in what cannot be read
    if problems := dangling(obj, undone.of(obj)):
        return Result(Reason.INVALID, problems=problems)
    return undone


def undo(obj: Object) -> Result:
    """Return the same where another injection follows, and brings volumes that are mounted again."""
    if not asks(obj):
        return Result(Reason.NOT_INJECTED, [])
    kind = kind_of(obj)
    try:
        msgspec.convert(as_stored(obj), Pod if kind is None else Workload)
    except msgspec.ValidationError as error:
        return Result(Reason.INVALID, problems=[malformed(error)])
    status = status_in(obj)
    if kind is None:
        operations = list(_from_pod(obj, {}, set(), status))
    else:
        copied = copied_before(annotations_of(obj))
        labels = {INJECT} if labelled_before(annotations_of(obj)) else set()
        template = part(obj, kind.template)
        operations = under(pointer(*kind.template), _from_pod(template, copied, labels, status))
        if COPIED in annotations_of(obj):
            operations += _without("/metadata/annotations", annotations_of(obj), {COPIED}, {})
    warnings = list(_untold(pod_in(obj), status))
    return Result(Reason.UNINJECTED if operations else Reason.NOT_INJECTED, operations, warnings)


def dangling(obj: Object, after: Object) -> list[Problem]:
    """Find the containers of an object that would mount volumes of the member that are removed."""
    removed = _volumes_in(obj) - _volumes_in(after)
    return [
        Problem(
            f"spec.{field}[{index}]",
            f'mounts the volume "{mount["name"]}", which was injected with the member; remove that mount, or '
            f'name the container "{CONTAINER}" again if it is the member',
        )
        for field in ("initContainers", "containers")
        for index, container in enumerate(part(pod_in(after), ("spec",)).get(field) or ())
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") in removed
    ]


def _volumes_in(obj: Object) -> set[str]:
    """Return the member's volumes that an object has."""
    volumes = part(pod_in(obj), ("spec",)).get("volumes") or ()
    return {volume.get("name") for volume in volumes} & {*MEMBER_VOLUMES}


def _untold(pod: Object, status: Status | None) -> Iterator[str]:
    """Say what stays, if the status annotation does not say what was there before the injection."""
    if STATUS not in annotations_of(pod) or (status is not None and status.reversible):
        return
    variables = {
        variable["name"]
        for container in part(pod, ("spec",)).get("containers") or ()
        for variable in container.get("env") or ()
        if variable.get("name") in APPLICATION_VARIABLES
    }
    why = (
        "has a status annotation that cannot be read"
        if status is None
        else "was injected by the webhook, whose status annotation does not say what was there before"
    )
    stays = ", ".join([*sorted(variables), "terminationGracePeriodSeconds"])
    yield f"{why}: {stays} may be the Pod's own and stays; remove it by hand if it is not"


def _from_pod(
    pod: Object, copied: Mapping[str, str], labels: Collection[str], status: Status | None
) -> Iterator[Operation]:
    """Yield operations on a Pod or a Pod template; the last elements of lists first, so that indexes hold.

    Without a member and its volumes, whose status another Pod's may be, only the metadata is ours.
    """
    annotations = annotations_of(pod)
    was = texts(status, pod)
    copies = {key for key, value in copied.items() if annotations.get(key) == value}
    if STATUS in annotations:
        yield from _from_spec(part(pod, ("spec",)), pod, status, was)
        copies.add(STATUS)
    yield from _metadata(part(pod, ("metadata",)), copies, labels, status, was)


def _from_spec(
    spec: Object, pod: Object, status: Status | None, was: Mapping[str, str]
) -> Iterator[Operation]:
    members = {key: _members(spec.get(key)) for key in ("initContainers", "containers")}
    volumes = _named(spec.get("volumes"), MEMBER_VOLUMES)
    if not any((*members.values(), volumes)):
        return
    if status is not None and status.reversible:
        yield from _environment(spec, status, own_variables(status, pod), was)
    for key, positions in members.items():
        yield from _without_positions(f"/spec/{key}", spec.get(key) or [], positions, was)
    yield from _without_positions("/spec/volumes", spec.get("volumes") or [], volumes, was)
    if status is None:
        return
    secrets = spec.get("imagePullSecrets") or []
    added = _named(secrets, status.added_secrets)
    yield from _without_positions("/spec/imagePullSecrets", secrets, added, was)
    if "terminationGracePeriodSeconds" in spec:
        yield from _grace_period(status, was)


def _metadata(
    metadata: Object,
    copies: set[str],
    written: Collection[str],
    status: Status | None,
    was: Mapping[str, str],
) -> Iterator[Operation]:
    """Yield the operations on a Pod template's metadata, which is removed if it did not exist.

    Args:
        metadata: of the template.
        copies: annotations to remove.
        written: labels that the webhook recorded as its own.
        status: what its status annotation says.
        was: what that records of texts.
    """
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    own_label = pointer("metadata", "labels", GROUP) in was
    ours = STATUS in copies and GROUP in labels and (status is None or labels[GROUP] == status.group)
    added = {GROUP} if ours and not own_label else set()
    added |= {key for key in written if labels.get(key) == ASKED}
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
            if variable == ours.get(variable.get("name")) and (index, variable["name"]) not in own
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


def _members(containers: Any) -> set[int]:  # noqa: ANN401 - JSON
    found = msgspec.convert(as_stored(containers or []), list[Container])
    return {index for index, container in enumerate(found) if is_member(container)}


def _named(elements: Any, names: Collection[str]) -> set[int]:  # noqa: ANN401 - JSON
    return {index for index, element in enumerate(elements or ()) if element.get("name") in names}


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
