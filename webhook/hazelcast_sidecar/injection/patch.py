"""JSON Patch operations (RFC 6902) for a decision.

A Pod's patch depends on little of the Pod: which of its lists are absent, which containers set which
variable, its grace period, and which pull secrets it has. That is its `Shape`. Pods of one workload have the
same shape and spec, hence the same patch, which a caller can cache.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.injection import member
from hazelcast_sidecar.injection.fingerprint import fingerprint as fingerprint_of
from hazelcast_sidecar.injection.pod_decision import Inject, Restore
from hazelcast_sidecar.injection.propagation import Copying, copied_annotation
from hazelcast_sidecar.injection.template_label import Labelling, with_label
from hazelcast_sidecar.manifest_text.patching import Operation
from hazelcast_sidecar.model.pod import Container, Named, Pod, PodMetadata
from hazelcast_sidecar.model.service_mesh import PROXIES
from hazelcast_sidecar.model.status import Status, encode
from hazelcast_sidecar.model.workload import Workload, WorkloadKind
from hazelcast_sidecar.names import COPIED, GROUP, SCC, STATUS
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.version import __version__

DEFAULT_GRACE_SECONDS = 30  # the API server's default


class EnvShape(NamedTuple):
    """The relevant parts of a container's `env`."""

    absent: bool
    names: tuple[str, ...]
    """Our variables that it sets itself."""


class Shape(NamedTuple):
    """Everything that a patch depends on apart from the spec and the group; hashable."""

    annotations_absent: bool
    """As of a Pod that asks by its label alone; empty counts as absent."""
    labels_absent: bool
    member_at: int | None
    """Where a native sidecar goes among the init containers; None if there are none."""
    volumes_absent: bool
    grace_seconds: int | None
    env: tuple[EnvShape, ...] | None
    """One for each of spec.containers; None if that is absent."""
    pull_secrets: tuple[str, ...] | None
    """Those of the settings that it names itself; None if it has no list of them."""
    user: int | None
    """The user that OpenShift assigned to its containers; None elsewhere."""


class Record(NamedTuple):
    """What injection writes over in a Pod of a manifest, or in a Pod template."""

    own_text: Mapping[str, str]
    """How it is written, by JSON pointer: empty values, a grace period, a label of its own."""
    own_env: tuple[str, ...]
    """The application's variables that its containers set themselves, as container/NAME."""


def shape_of(pod: Pod, pull_secrets: tuple[str, ...]) -> Shape:
    """Return the shape of a Pod.

    Args:
        pod: the Pod.
        pull_secrets: those that it is to have; others do not matter.
    """
    spec = pod.spec
    return Shape(
        not pod.metadata.annotations,
        pod.metadata.labels is None,
        None if spec.init_containers is None else _behind_proxies(spec.init_containers),
        spec.volumes is None,
        spec.termination_grace_period_seconds,
        None if spec.containers is None else tuple([_env_shape(container) for container in spec.containers]),
        None if spec.image_pull_secrets is None else _among(pull_secrets, spec.image_pull_secrets),
        _assigned_user(pod),
    )


def _assigned_user(pod: Pod) -> int | None:
    """Return the user of the Pod's containers on OpenShift, which takes no other.

    There each namespace has a range of users, and the constraints give one to all containers of a Pod before
    any webhook sees it.
    """
    if SCC not in (pod.metadata.annotations or {}) or not pod.spec.containers:
        return None
    context = pod.spec.containers[0].security_context
    user = context.run_as_user if context else None
    return user if user and user > 0 else None


def _among(names: tuple[str, ...], elements: list[Named]) -> tuple[str, ...]:
    if not names:
        return ()
    found = {element.name for element in elements}
    return tuple([name for name in names if name in found])


def _behind_proxies(init_containers: list[Container]) -> int:
    """Return the first place, but for the proxy of a service mesh.

    The member is started before and stopped after everything else, so that init containers can use it too; it
    needs the network itself, which such a proxy may carry.
    """
    place = 0
    for index, container in enumerate(init_containers):
        if container.name in PROXIES:
            place = index + 1
    return place


APPLICATION_VARIABLES = frozenset(("HAZELCAST_ADDRESS", "HAZELCAST_CLUSTER_NAME"))
"""Variables for the application's containers, unless they set them themselves."""


def _env_shape(container: Container) -> EnvShape:
    if container.env is None:
        return EnvShape(absent=True, names=())
    return EnvShape(
        absent=False, names=tuple([v.name for v in container.env if v.name in APPLICATION_VARIABLES])
    )


def operations(
    decision: Inject, shape: Shape, run_as_user: int | None, *, record: Record | None = None
) -> list[Operation]:
    """Return the operations that inject a member into every Pod of that shape.

    Each list is either created, if the Pod has none, or appended to; never both, so no operation can undo
    another.

    Args:
        decision: the injection.
        shape: of the Pod.
        run_as_user: as the settings have it.
        record: for manifests, what the status also records of what was there before, for `uninjection`.
    """
    spec, group = decision.spec, decision.group
    return [
        *_metadata(decision, shape, run_as_user, record),
        *_environment(spec, shape.env or ()),
        _member(spec, group, shape, run_as_user),
        *_appended("/spec/volumes", member.volumes(spec, group), absent=shape.volumes_absent),
        *_appended(
            "/spec/imagePullSecrets",
            [{"name": name} for name in _added_secrets(spec, shape)],
            absent=shape.pull_secrets is None,
        ),
        *_grace_period(spec, shape),
    ]


def _metadata(
    decision: Inject, shape: Shape, run_as_user: int | None, record: Record | None
) -> list[Operation]:
    """Return the operations for the label that the headless Service selects, and the status annotation."""
    group = decision.group
    status = status_of(decision, fingerprint_of(decision.spec, run_as_user))
    if record is not None:
        status = _recorded(status, decision.spec, shape, record)
    label = _label(group, absent=shape.labels_absent)
    return [_status(status, absent=shape.annotations_absent), label]


def _status(status: Status, *, absent: bool) -> Operation:
    if absent:
        return _add("/metadata/annotations", {STATUS: encode(status)})
    return _add(pointer("metadata", "annotations", STATUS), encode(status))


def _label(group: str, *, absent: bool) -> Operation:
    if absent:
        return _add("/metadata/labels", {GROUP: group})
    return _add(pointer("metadata", "labels", GROUP), group)


def status_of(decision: Inject, fingerprint: str) -> Status:
    """Return the status for a decision.

    Args:
        decision: the injection.
        fingerprint: of the injected parts.
    """
    spec = decision.spec
    return Status(
        version=__version__,
        group=decision.group,
        cluster=spec.cluster_name,
        image=spec.image,
        discovery=spec.discovery,
        port=spec.port,
        pod_clients=spec.pod_clients,
        backups=spec.backups,
        config=spec.config is not None,
        service_account=decision.service_account,
        fingerprint=fingerprint,
        disruption_budget=spec.disruption_budget,
        network_policy=spec.network_policy,
    )


def _recorded(status: Status, spec: SidecarSpec, shape: Shape, record: Record) -> Status:
    return msgspec.structs.replace(
        status,
        manifest=True,
        own_text=tuple(record.own_text.items()),
        own_env=record.own_env,
        added_secrets=_added_secrets(spec, shape),
        own_grace=msgspec.UNSET if _raised_grace(spec, shape) is None else shape.grace_seconds,
    )


def _environment(spec: SidecarSpec, shapes: tuple[EnvShape, ...]) -> list[Operation]:
    """Put our variables before the application's, so that its own may refer to them."""
    variables = member.env_vars(member.application_env(spec.port, spec.cluster_name))
    added: list[Operation] = []
    for index, shape in enumerate(shapes):
        path = f"/spec/containers/{index}/env"
        if shape.absent:
            added.append(_add(path, variables))
        else:
            missing = [variable for variable in variables if variable["name"] not in shape.names]
            added += [_add(f"{path}/{position}", variable) for position, variable in enumerate(missing)]
    return added


def _member(spec: SidecarSpec, group: str, shape: Shape, run_as_user: int | None) -> Operation:
    user = None if run_as_user is None else shape.user or run_as_user
    container = member.container(spec, group, user) | member.lifecycle(
        spec, member.stop_seconds(_own_grace(shape))
    )
    if not spec.native_sidecar:
        # Last: kubectl takes the first container if none is named.
        return (
            _add("/spec/containers", [container])
            if shape.env is None
            else _add("/spec/containers/-", container)
        )
    if shape.member_at is None:
        return _add("/spec/initContainers", [container])
    return _add(f"/spec/initContainers/{shape.member_at}", container)


def _appended(path: str, elements: list[dict[str, Any]], *, absent: bool) -> list[Operation]:
    """Make the operations that append to a list, or create it."""
    if absent:
        return [_add(path, elements)] if elements else []
    return [_add(f"{path}/-", element) for element in elements]


def _added_secrets(spec: SidecarSpec, shape: Shape) -> tuple[str, ...]:
    """Return the pull secrets that a Pod lacks.

    The API server has given it those of its ServiceAccount before any webhook, which it does for a Pod
    without any, so that these are not pushed out.
    """
    own = shape.pull_secrets or ()
    return tuple(name for name in spec.pull_secrets if name not in own)


def _grace_period(spec: SidecarSpec, shape: Shape) -> list[Operation]:
    seconds = _raised_grace(spec, shape)
    return [] if seconds is None else [_add("/spec/terminationGracePeriodSeconds", seconds)]


def _raised_grace(spec: SidecarSpec, shape: Shape) -> int | None:
    """Return the grace period in seconds if the member needs a longer one."""
    own = _own_grace(shape)
    seconds = member.grace_period(spec, own)
    return seconds if seconds != own else None


def _own_grace(shape: Shape) -> int:
    return DEFAULT_GRACE_SECONDS if shape.grace_seconds is None else shape.grace_seconds


def restore_operations(decision: Restore, pod: Pod, run_as_user: int | None) -> list[Operation]:
    """Return the operations that restore what a Pod has lost of its injection, and nothing else.

    Args:
        decision: what to restore.
        pod: the Pod.
        run_as_user: as the settings have it.
    """
    injection, missing = decision.injection, decision.missing
    spec, group = injection.spec, injection.group
    restored: list[Operation] = []
    if missing.status:
        status = status_of(injection, fingerprint_of(spec, run_as_user))
        restored.append(_status(status, absent=not pod.metadata.annotations))
    if missing.label:
        restored.append(_label(group, absent=pod.metadata.labels is None))
    volumes = [volume for volume in member.volumes(spec, group) if volume["name"] in missing.volumes]
    restored += _appended("/spec/volumes", volumes, absent=pod.spec.volumes is None)
    at = pointer("spec", decision.member.field, str(decision.member.position))
    if missing.restart_policy:
        restored.append(_add(f"{at}/restartPolicy", "Always"))
    return [*restored, *_restored_lists(decision, at, member.container(spec, group, run_as_user))]


def _restored_lists(decision: Restore, path: str, wanted: Mapping[str, Any]) -> Iterator[Operation]:
    """Make the operations on the lists of the member container; existing elements stay as they are."""
    container = decision.member.container
    if decision.missing.variables:
        names = {variable.name for variable in container.env or ()}
        variables = [variable for variable in wanted["env"] if variable["name"] not in names]
        yield from _appended(f"{path}/env", variables, absent=container.env is None)
    positions = {mount.mount_path: index for index, mount in enumerate(container.volume_mounts or ())}
    for mount in wanted["volumeMounts"]:
        # While our mount was missing, the API server may have mounted its token there.
        position = positions.get(mount["mountPath"])
        if position is not None and mount["mountPath"] in decision.missing.directories:
            yield {"op": "replace", "path": f"{path}/volumeMounts/{position}", "value": mount}
    lost = [mount for mount in wanted["volumeMounts"] if mount["mountPath"] not in positions]
    yield from _appended(f"{path}/volumeMounts", lost, absent=container.volume_mounts is None)


def copy_operations(
    kind: WorkloadKind, workload: Workload, copying: Copying, labelling: Labelling
) -> list[Operation]:
    """Return the operations that write on a template, and record that on the workload."""
    template = workload.template
    assert template is not None  # noqa: S101 - nothing is written otherwise
    path = pointer(*kind.template, "metadata")
    metadata = template.metadata or PodMetadata()
    labels = with_label(template.labels, labelling.label)
    own = workload.metadata.annotations
    recorded = {key: value for key, value in (own or {}).items() if key != COPIED}
    if (text := copied_annotation(copying.copied, labelled=labelling.is_ours)) is not None:
        recorded[COPIED] = text
    return [
        *([_add(path, {})] if template.metadata is None else []),
        *_difference(f"{path}/annotations", metadata.annotations, copying.annotations),
        *_difference(f"{path}/labels", metadata.labels, labels),
        *_difference("/metadata/annotations", own, recorded),
    ]


def _difference(path: str, before: Mapping[str, str] | None, after: Mapping[str, str]) -> list[Operation]:
    """Return the operations that turn one mapping of texts into the other; only differences are named."""
    if before is None:
        return [_add(path, {**after})] if after else []
    removed = [{"op": "remove", "path": path + pointer(key)} for key in before if key not in after]
    changed = [(key, value) for key, value in after.items() if before.get(key) != value]
    return [*removed, *(_add(path + pointer(key), value) for key, value in changed)]


def _add(path: str, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def pointer(*steps: str) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
