"""Bounds on the containers and volumes of a Pod that asks for a member: far more than any kubelet runs.

What was injected does not count, so that no Pod is denied for it when it is reviewed again.
"""

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import intact
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.names import INJECT

MAX_CONTAINERS = 1000
"""Maximal containers and init containers of a Pod that gets a member, apart from the member.

The kubelet reports a status of some 500 bytes for each, all of them in one object, of which etcd takes
1.5 MiB.
"""

MAX_VOLUMES = 1000
"""Maximal volumes of such a Pod, apart from the member's; the kubelet waits two minutes for all of them."""


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
    volumes -= len({volume.name for volume in spec.volumes or ()} & {*intact.VOLUMES})
    found = []
    if containers > MAX_CONTAINERS:
        what = f"{containers:,} containers and init containers"
        found.append(_too_many("spec.containers", what, MAX_CONTAINERS))
    if volumes > MAX_VOLUMES:
        found.append(_too_many("spec.volumes", f"{volumes:,} volumes", MAX_VOLUMES))
    return found


def _too_many(where: str, what: str, limit: int) -> Problem:
    sentence = f"has {what}; a Pod with a member can have {limit:,}: remove some, or {INJECT}"
    return Problem(where, sentence)
