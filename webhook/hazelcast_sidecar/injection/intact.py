"""The parts that an injected Pod must still have when it is reviewed again, in Python and in CEL.

Other webhooks change Pods after ours: one with old client types drops unknown fields, such as `restartPolicy`
of an init container; another one replaces a list. The API server's error then names neither webhook.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from hazelcast_sidecar.cel import source
from hazelcast_sidecar.injection.member import TMP_DIRECTORY, TOKEN_DIRECTORY, TOKEN_VOLUMES
from hazelcast_sidecar.model.pod import Container, Named, Pod
from hazelcast_sidecar.names import (
    CONFIG_DIRECTORY,
    CONFIG_VOLUME,
    CONTAINER,
    GROUP,
    MEMBER_VOLUMES,
    STATUS,
    TMP_VOLUME,
)

DIRECTORIES = (CONFIG_DIRECTORY, TMP_DIRECTORY)
"""The mount paths of every member; see also `TOKEN_DIRECTORY`."""

CONFIG_VARIABLE = "HAZELCAST_CONFIG"

VARIABLES = (CONFIG_VARIABLE, "HZ_CLUSTERNAME")
"""Variables that every member needs. Not all that are set: another version may set others."""

VARIABLE_OF_DISCOVERY = {
    "dns": "HAZELCAST_KUBERNETES_SERVICE_DNS",
    "api": "HAZELCAST_KUBERNETES_POD_LABEL_VALUE",
}
"""The variable by which it finds other members, by the kind of discovery."""

VOLUMES_OF_DISCOVERY = {"dns": (CONFIG_VOLUME, TMP_VOLUME), "api": MEMBER_VOLUMES}
"""The volumes that it has, by the kind of discovery."""

NO_MEMBER = (
    f'says that a member was injected, but there is none: no container "{CONTAINER}" that mounts '
    f'the volume "{CONFIG_VOLUME}" or sets {CONFIG_VARIABLE}. Another webhook removed it, or the annotation '
    "was copied from another Pod; remove the annotation with everything else that was injected "
    "(`hazelcast-sidecar uninject` does so in manifests), or keep the other webhook away from this Pod"
)
UNREADABLE = (
    "cannot be read; remove it together with the container and the volumes that were injected "
    "(`hazelcast-sidecar uninject` does so in manifests)"
)


class Member(NamedTuple):
    """The member container of an injected Pod."""

    container: Container
    field: str
    """The list in the Pod's spec that contains it."""
    position: int

    @property
    def is_init_container(self) -> bool:
        """Tell whether it is an init container, of which only native sidecars may go on running."""
        return self.field == "initContainers"


def member_of(pod: Pod) -> Member | None:
    """Find the injected container, and not one that merely has its name."""
    for field, containers in (
        ("initContainers", pod.spec.init_containers),
        ("containers", pod.spec.containers),
    ):
        for position, container in enumerate(containers or ()):
            if is_member(container):
                return Member(container, field, position)
    return None


def is_member(container: Container) -> bool:
    """Look for the name and one of two signs: another webhook may have removed the other."""
    return container.name == CONTAINER and _reads_our_configuration(container)


def _reads_our_configuration(container: Container) -> bool:
    return any(mount.name == CONFIG_VOLUME for mount in container.volume_mounts or ()) or any(
        variable.name == CONFIG_VARIABLE for variable in container.env or ()
    )


def blanked(pod: Pod, member: Member) -> Pod:
    """Return an injected Pod with blanks in place of its member and volumes, so that paths stay valid."""
    spec = msgspec.structs.replace(pod.spec)
    spec.volumes = [Named() if volume.name in MEMBER_VOLUMES else volume for volume in pod.spec.volumes or ()]
    containers = list((spec.init_containers if member.is_init_container else spec.containers) or ())
    containers[member.position] = Container()
    if member.is_init_container:
        spec.init_containers = containers
    else:
        spec.containers = containers
    return msgspec.structs.replace(pod, spec=spec)


class Missing(NamedTuple):
    """The parts that an injected Pod has lost; every field is false if it is intact."""

    status: bool
    label: bool
    restart_policy: bool
    volumes: tuple[str, ...]
    directories: tuple[str, ...]
    """Where its member lacks a mount, or has the API server's own token instead of ours."""
    variables: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.status:
            yield f"the annotation {STATUS}"
        if self.label:
            yield f"the label {GROUP}"
        if self.restart_policy:
            yield "restartPolicy"
        for kind, names in (
            ("volumes", self.volumes),
            ("volumeMounts", self.directories),
            ("env", self.variables),
        ):
            if names:
                yield f"{kind} {' '.join(names)}"


def missing(pod: Pod, member: Member, discovery: Literal["dns", "api"]) -> Missing:
    """Find the parts of its injection that a Pod lacks.

    Args:
        pod: as another webhook left it.
        member: its member container.
        discovery: how that member finds others.
    """
    container = member.container
    volumes = {volume.name for volume in pod.spec.volumes or ()}
    mounted = {mount.mount_path: mount.name for mount in container.volume_mounts or ()}
    directories = [path for path in DIRECTORIES if path not in mounted]
    if mounted.get(TOKEN_DIRECTORY) != TOKEN_VOLUMES[discovery]:
        directories.append(TOKEN_DIRECTORY)
    variables = {variable.name for variable in container.env or ()}
    wanted = (*VARIABLES, VARIABLE_OF_DISCOVERY[discovery])
    return Missing(
        status=STATUS not in (pod.metadata.annotations or {}),
        label=GROUP not in (pod.metadata.labels or {}),
        restart_policy=member.is_init_container and container.restart_policy != "Always",
        volumes=tuple(name for name in VOLUMES_OF_DISCOVERY[discovery] if name not in volumes),
        directories=tuple(directories),
        variables=tuple(name for name in wanted if name not in variables),
    )


# --- the same in CEL ---------------------------------------------------------------------------------------

RECORDED = f'object.metadata.?annotations[?{source(STATUS)}].orValue("")'
LABEL = f'object.metadata.?labels[?{source(GROUP)}].orValue("")'
_INIT_CONTAINERS = "object.spec.?initContainers.orValue([])"
_CONTAINERS = "object.spec.?containers.orValue([])"


DISCOVERED_BY_API = f'{RECORDED}.contains(\'"discovery":"api"\')'
"""A pattern on the text, as CEL cannot parse JSON: in a value, a quotation mark has a backslash before it."""


def _by_discovery(values: Mapping[str, Any]) -> str:
    by_api, by_dns = (source(values[kind]) for kind in ("api", "dns"))
    return f"{DISCOVERED_BY_API} ? {by_api} : {by_dns}"


IS_MEMBER = (
    f"c.name == {source(CONTAINER)} && "
    f"(c.?volumeMounts.orValue([]).exists(m, m.name == {source(CONFIG_VOLUME)}) || "
    f"c.?env.orValue([]).exists(e, e.name == {source(CONFIG_VARIABLE)}))"
)
"""A condition equal to `member_of`, on a container `c`."""

IS_INTACT = (
    f"{RECORDED}.contains('\"group\":\"' + {LABEL} + '\"') && "
    f"({_by_discovery(VOLUMES_OF_DISCOVERY)})"
    ".all(n, object.spec.?volumes.orValue([]).exists(v, v.name == n)) && "
    f'({_INIT_CONTAINERS}.filter(c, c.?restartPolicy.orValue("") == "Always") + {_CONTAINERS})'
    f".exists(c, c.name == {source(CONTAINER)} && "
    f"{source(list(DIRECTORIES))}.all(p, c.?volumeMounts.orValue([]).exists(m, m.mountPath == p)) && "
    f"c.?volumeMounts.orValue([]).exists(m, m.mountPath == {source(TOKEN_DIRECTORY)} && "
    f"m.name == ({_by_discovery(TOKEN_VOLUMES)})) && "
    f"{source([*VARIABLES])}.all(n, c.?env.orValue([]).exists(e, e.name == n)) && "
    f"c.?env.orValue([]).exists(e, e.name == ({_by_discovery(VARIABLE_OF_DISCOVERY)})))"
)
"""Whether `missing` finds nothing; a condition on `object` alone, as match conditions have no variables."""
