"""Decision -> JSON Patch operations (RFC 6902).

What a Pod's patch looks like depends on little of the Pod: which of its lists are absent, which
containers set which variable, and its grace period. That is its `Shape`. Pods of one workload have the
same shape and spec, hence the very same patch, so that a caller can keep it.
"""

from typing import Any, NamedTuple

from webhook import sidecar
from webhook.annotations import SidecarSpec
from webhook.names import GROUP, STATUS
from webhook.pod import Container, Pod
from webhook.policy import Inject
from webhook.status import Status, encode
from webhook.version import __version__

Operation = dict[str, Any]

_DEFAULT_GRACE_SECONDS = 30  # what the API server sets where a Pod says nothing


class EnvShape(NamedTuple):
    """What matters of a container's `env`."""

    absent: bool
    names: tuple[str, ...]
    """Those of our variables that it sets itself."""


class Shape(NamedTuple):
    """All that a patch depends on beside the spec and the group; hashable."""

    labels_absent: bool
    init_containers_absent: bool
    volumes_absent: bool
    grace_seconds: int
    env: tuple[EnvShape, ...] | None
    """One for each of spec.containers; None where that is absent."""


def shape_of(pod: Pod) -> Shape:
    """The shape of a Pod."""
    spec = pod.spec
    grace = spec.termination_grace_period_seconds
    return Shape(
        pod.metadata.labels is None,
        spec.init_containers is None,
        spec.volumes is None,
        _DEFAULT_GRACE_SECONDS if grace is None else grace,
        None if spec.containers is None else tuple([_env_shape(container) for container in spec.containers]),
    )


_APPLICATION_VARIABLES = frozenset(("HAZELCAST_ADDRESS", "HAZELCAST_CLUSTER_NAME"))


def _env_shape(container: Container) -> EnvShape:
    if container.env is None:
        return EnvShape(absent=True, names=())
    return EnvShape(
        absent=False, names=tuple([v.name for v in container.env if v.name in _APPLICATION_VARIABLES])
    )


def operations(decision: Inject, shape: Shape, run_as_user: int | None) -> list[Operation]:
    """The operations that inject a member into every Pod of that shape, for which it was so decided.

    Each list is either made whole, where the Pod has none, or added to; never both, so no operation can
    undo another.
    """
    spec, group = decision.spec, decision.group
    return [
        *_record(decision, labels_absent=shape.labels_absent),
        *_environment(spec, shape.env or ()),
        _member(spec, group, shape, run_as_user),
        *_volumes(spec, group, absent=shape.volumes_absent),
        *_grace_period(spec, shape.grace_seconds),
    ]


def _record(decision: Inject, *, labels_absent: bool) -> list[Operation]:
    """The label that the headless Service selects, and what was done, for people and the controller."""
    spec, group = decision.spec, decision.group
    status = Status(
        version=__version__,
        group=group,
        cluster=spec.cluster_name,
        image=spec.image,
        discovery=spec.discovery,
        port=spec.port,
        config=spec.config is not None,
        service_account=decision.service_account,
    )
    label = (
        _add("/metadata/labels", {GROUP: group})
        if labels_absent
        else _add(_member_of("labels", GROUP), group)
    )
    return [_add(_member_of("annotations", STATUS), encode(status)), label]


def _environment(spec: SidecarSpec, shapes: tuple[EnvShape, ...]) -> list[Operation]:
    """Our variables in front of the application's, so that its own may refer to them."""
    variables = sidecar.env_vars(sidecar.application_env(spec))
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
    container = sidecar.container(spec, group, run_as_user)
    if not spec.native_sidecar:
        # Last: the first container is the one that kubectl takes where none is named.
        return (
            _add("/spec/containers", [container])
            if shape.env is None
            else _add("/spec/containers/-", container)
        )
    if shape.init_containers_absent:
        return _add("/spec/initContainers", [container])
    # First: started before and stopped after everything else, so that init containers can use it too.
    return _add("/spec/initContainers/0", container)


def _volumes(spec: SidecarSpec, group: str, *, absent: bool) -> list[Operation]:
    volumes = sidecar.volumes(spec, group)
    if absent:
        return [_add("/spec/volumes", volumes)]
    return [_add("/spec/volumes/-", volume) for volume in volumes]


def _grace_period(spec: SidecarSpec, own: int) -> list[Operation]:
    seconds = sidecar.grace_period(spec, own)
    return [_add("/spec/terminationGracePeriodSeconds", seconds)] if seconds != own else []


def _add(path: str, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _member_of(mapping: str, key: str) -> str:
    """JSON pointer (RFC 6901) to a label or an annotation of ours; none of them has a `~`."""
    return f"/metadata/{mapping}/{key.replace('/', '~1')}"
