"""Non-fatal warnings about Pods and workloads that get a member.

Each is one sentence that says what will happen and what to do instead; kubectl shows it.
"""

from collections.abc import Iterator
from decimal import Decimal

from hazelcast_sidecar.injection.compatibility import (
    Membership,
    is_slim,
    needs_licence,
    release_of_members,
    separation,
)
from hazelcast_sidecar.injection.heap import heap_of
from hazelcast_sidecar.injection.quality_of_service import about_quality
from hazelcast_sidecar.injection.rollout_advice import about_rollout
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.service_mesh import missing_ports
from hazelcast_sidecar.model.workload import Workload, WorkloadKind, names_its_group
from hazelcast_sidecar.names import LICENSE_KEY, PREFIX, ZONE
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.spec.values import quantity

MAX_REPLICAS = 100
"""The most members of one cluster whose applications connect to all of them, as clients do by default."""

OLDEST_RELEASE = (5, 0)
"""The first release of Hazelcast whose members read the configuration of a group."""

ROOM_BESIDE_HEAP = 160 * 2**20
"""Bytes that a member's JVM needs in addition to its heap: VmHWM of real members was 105 to 131 MiB."""


def advise(pod: Pod, spec: SidecarSpec) -> tuple[str, ...]:
    """Return warnings about a Pod."""
    warnings = []
    if heap := _about_heap(spec):
        warnings.append(heap)
    if quality := about_quality(pod, spec):
        warnings.append(quality)
    if spec.config is None and (release := release_of_members(spec.image)) and release < OLDEST_RELEASE:
        major, minor = release
        oldest = ".".join(map(str, OLDEST_RELEASE))
        warnings.append(
            f"members of Hazelcast {major}.{minor} cannot read the configuration that they get, and end: set "
            f"{PREFIX}image to {oldest} or newer, or {PREFIX}config to a ConfigMap of your own"
        )
    if spec.sql and is_slim(spec.image):
        warnings.append(
            f"{PREFIX}sql: the image {spec.image} is a slim one, which has no SQL: set {PREFIX}image to one "
            "that is not"
        )
    if needs_licence(spec.image) and spec.license_secret is None and spec.config is None:
        warnings.append(
            f"members of the image {spec.image} end without a licence: set {PREFIX}license-secret to a "
            f"Secret with the key {LICENSE_KEY}"
        )
    if pod.spec.host_network:
        warnings.append(
            f"hostNetwork: the member takes port {spec.port} of the node, so a node runs one such Pod, and "
            "anyone who reaches the node reaches the cluster's entries"
        )
    warnings += _about_meshes(pod, spec)
    if spec.is_placed and not _is_spread(pod):
        key = _TOPOLOGY_KEYS[spec.backups]
        warnings.append(
            f"each {spec.backups} holds an equal share of the entries ({PREFIX}backups), so a member that is "
            f"alone on its {spec.backups} holds more than others; spread the Pods by "
            f"topologySpreadConstraints (maxSkew 1, topologyKey {key})"
        )
    if spec.is_placed and spec.config is not None:
        warnings.append(
            f"{PREFIX}backups {spec.backups}: the ConfigMap {spec.config} must give members the attribute "
            "hazelcast.partition.group.placement with the value ${hazelcast.sidecar.place}, or backups are "
            "anywhere"
        )
    if not spec.native_sidecar and pod.spec.restart_policy in ("Never", "OnFailure"):
        warnings.append(
            f'the Pod never completes: with {PREFIX}native-sidecar "false" the member goes on running after '
            "the application has ended"
        )
    return tuple(warnings)


def _about_meshes(pod: Pod, spec: SidecarSpec) -> Iterator[str]:
    metadata = pod.metadata
    containers = [container.name for container in pod.containers]
    for lack in missing_ports(metadata.labels or {}, metadata.annotations or {}, containers, spec.ports):
        yield (
            f"{lack.mesh.name}'s proxy is between members unless it leaves their ports alone: annotate "
            f"the Pods with {lack}"
        )


def _about_heap(spec: SidecarSpec) -> str | None:
    limit, heap = quantity(spec.memory_limit), heap_of(spec)
    room = limit - heap.size
    if room >= ROOM_BESIDE_HEAP:
        return None
    needed = _mebibytes(Decimal(ROOM_BESIDE_HEAP))
    if room < 0:
        return (
            f"the member's heap ({heap.why}) may outgrow {PREFIX}memory-limit ({spec.memory_limit}), and the "
            f"kernel then kills the member, with its entries: leave about {needed} beside it"
        )
    lower = f"{PREFIX}java-opts" if heap.is_option else f"{PREFIX}heap-percentage"
    return (
        f"{_mebibytes(room)} of {spec.memory_limit} are left beside the member's heap ({heap.why}), and it "
        f"needs about {needed}: raise {PREFIX}memory-limit or lower {lower}"
    )


_TOPOLOGY_KEYS = {"node": "kubernetes.io/hostname", "zone": ZONE}


def _is_spread(pod: Pod) -> bool:
    """Tell whether the scheduler is asked to keep Pods apart; which ones and by what is not checked."""
    affinity = pod.spec.affinity
    return bool(pod.spec.topology_spread_constraints or (affinity and affinity.pod_anti_affinity is not None))


def advise_workload(kind: WorkloadKind, workload: Workload, spec: SidecarSpec) -> tuple[str, ...]:
    """Return warnings about how a workload's Pods are replaced."""
    warnings = []
    replicas = 1 if workload.spec.replicas is None else workload.spec.replicas
    strategy = workload.strategy
    if replicas > MAX_REPLICAS:
        warnings.append(
            f"{replicas} replicas: every application connects to every member, which suits some "
            f"{MAX_REPLICAS}; for more, run a separate cluster and connect to it"
        )
    pods = None if kind.name == "DaemonSet" else replicas  # it has one on each node
    if rollout := about_rollout(kind.name, strategy, pods, spec):
        warnings.append(rollout.sentence)
    if strategy.type == "OnDelete" or kind.name == "ReplicaSet":
        warnings.append("running Pods stay unchanged until they are deleted")
    is_job = kind.name in ("Job", "CronJob")
    if is_job and spec.group is None and not names_its_group(kind, workload.metadata.name):
        warnings.append(f"each Job's Pods form a cluster of their own; set {PREFIX}group to share one")
    return tuple(warnings)


def advise_change(before: Membership, after: Membership) -> tuple[str, ...]:
    """Return warnings about what a rollout changes: whether entries pass from the old Pods to the new."""
    return tuple(f"{reason}: {_NOT_PASSED}" for reason in separation(before, after))


_NOT_PASSED = (
    "entries do not pass from the old Pods to the new, and are lost with the last of the old; to keep them, "
    "run the new beside the old as a workload of its own and copy them"
)


def _mebibytes(count: Decimal) -> str:
    return f"{int(count) >> 20} MiB"
