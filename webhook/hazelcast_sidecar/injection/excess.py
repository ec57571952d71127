"""Bounds on the containers and volumes of a Pod that asks for a member: far more than any kubelet runs.

What was injected does not count, so that no Pod is denied for it when it is reviewed again.
"""

from hazelcast_sidecar.cel import Unknown, source
from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import intact
from hazelcast_sidecar.injection.pod_in_cel import VOLUMES, Sentence, listed, where
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.names import INJECT, MEMBER_VOLUMES

MAX_CONTAINERS = 1000
"""Maximal containers and init containers of a Pod that gets a member, apart from the member.

The kubelet reports a status of some 500 bytes for each, all of them in one object, of which etcd takes
1.5 MiB.
"""

MAX_VOLUMES = 1000
"""Maximal volumes of such a Pod, apart from the member's; the kubelet waits two minutes for all of them."""


def _too_many(where: str, what: str, limit: int) -> Sentence:
    return Sentence(
        where, f"has {{count}} {what}; a Pod with a member can have {limit:,}: remove some, or {INJECT}"
    )


_CONTAINERS = _too_many("spec.containers", "containers and init containers", MAX_CONTAINERS)
_VOLUMES = _too_many("spec.volumes", "volumes", MAX_VOLUMES)


def excess(pod: Pod) -> list[Problem]:
    """List the elements that a Pod has too many of."""
    spec = pod.spec
    containers, volumes = (
        len(spec.init_containers or ()) + len(spec.containers or ()),
        len(spec.volumes or ()),
    )
    if containers <= MAX_CONTAINERS and volumes <= MAX_VOLUMES:
        return []
    containers -= intact.member_of(pod) is not None
    volumes -= len({volume.name for volume in spec.volumes or ()} & {*MEMBER_VOLUMES})
    found = []
    if containers > MAX_CONTAINERS:
        found.append(_CONTAINERS.about(count=f"{containers:,}"))
    if volumes > MAX_VOLUMES:
        found.append(_VOLUMES.about(count=f"{volumes:,}"))
    return found


_CONTAINERS_IN_CEL = "size(variables.containers) - size(variables.members)"
_VOLUMES_IN_CEL = f"size({VOLUMES}.filter(v, !(v.name in {source([*MEMBER_VOLUMES])})))"

IN_CEL = listed(
    where(
        f"{_CONTAINERS_IN_CEL} > {MAX_CONTAINERS}",
        _CONTAINERS.in_cel(count=Unknown(_CONTAINERS_IN_CEL, text=False)),
    ),
    where(f"{_VOLUMES_IN_CEL} > {MAX_VOLUMES}", _VOLUMES.in_cel(count=Unknown(_VOLUMES_IN_CEL, text=False))),
)
"""The same for the admission policies: the expression of a list of sentences."""
