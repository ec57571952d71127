"""Conflicts between a Pod and the member container, found before anything is patched."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.limits import (
    AND_MORE,
    MAX_ANNOTATIONS,
    MAX_NAME,
    MAX_PROBLEMS,
    annotation_bytes,
    fit,
    shown,
)
from hazelcast_sidecar.model.pod import Container, Pod, Quantity, is_scalable, owner_kind
from hazelcast_sidecar.names import (
    CONFIG_VOLUME,
    CONTAINER,
    DISRUPTION_BUDGET,
    GROUP,
    INJECT,
    PREFIX,
    STATUS,
    TMP_VOLUME,
)
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.spec.values import quantity


def collisions(pod: Pod, spec: SidecarSpec, group: str) -> list[Problem]:
    """Return all conflicts, each naming both sides and what resolves it, or the first `MAX_PROBLEMS`."""
    containers = pod.containers
    found = chain(
        _taken_names(pod, containers),
        _taken_ports(pod, spec, containers),
        foreign_group(pod, group),
        _impossible_discovery(pod, spec),
        _endless_account(pod, spec),
        _shared_loopback(pod, spec),
        _impossible_platform(pod, containers),
        _too_small_pod(pod, spec),
        _impossible_budget(pod, spec),
        _no_room_for_the_record(pod),
    )
    problems = list(islice(found, MAX_PROBLEMS + 1))
    if len(problems) > MAX_PROBLEMS:
        problems[-1] = Problem("spec", AND_MORE)
    return problems


def _taken_names(pod: Pod, containers: Sequence[Container]) -> Iterator[Problem]:
    for index, container in enumerate(containers):
        if container.name == CONTAINER:
            sentence = (
                f'is named "{CONTAINER}", as the member that {INJECT} asks for; rename or remove this '
                "container, or remove the annotation"
            )
            yield Problem(pod.path_at(index), sentence)
    for index, volume in enumerate(pod.spec.volumes or ()):
        if volume.name == CONFIG_VOLUME or volume.name == TMP_VOLUME:  # noqa: PLR1714 - no tuple on the hot path
            sentence = f'is named "{volume.name}", as a volume of the member; rename it'
            yield Problem(f"spec.volumes[{index}]", sentence)


def _taken_ports(pod: Pod, spec: SidecarSpec, containers: Sequence[Container]) -> Iterator[Problem]:
    member_ports = {spec.port: "port"}
    if spec.pod_clients:
        member_ports |= dict.fromkeys(spec.ports, "port")
    if spec.metrics:
        member_ports[spec.metrics_port] = "metrics-port"
    for index, container in enumerate(containers):
        for port in container.ports or ():
            if port.container_port in member_ports and port.protocol == "TCP":
                sentence = (
                    f'container "{shown(container.name)}" declares port {port.container_port}, which the '
                    f"member needs; set {PREFIX}{member_ports[port.container_port]} to a free port"
                )
                yield Problem(pod.path_at(index), sentence)


def foreign_group(pod: Pod, group: str) -> list[Problem]:
    """Find a label that puts the Pod among the members of another group than its own."""
    labelled = (pod.metadata.labels or {}).get(GROUP)
    if labelled is None or labelled == group:
        return []
    sentence = (
        f'is "{shown(labelled)}", but the member joins the group "{group}"; remove the label and set the '
        f"annotation {GROUP}"
    )
    return [Problem(f"label {GROUP}", sentence)]


def _impossible_discovery(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Find members that cannot look for each other: they would only warn, each a cluster of its own."""
    if spec.discovery == "api":
        if pod.spec.automount_service_account_token is not False:
            return []
        sentence = (
            "is false, but members that find each other by the Kubernetes API need the token; remove it, "
            f'or set {PREFIX}discovery to "dns"'
        )
        return [Problem("spec.automountServiceAccountToken", sentence)]
    without_cluster_dns = pod.spec.dns_policy == "Default" or (
        pod.spec.host_network and pod.spec.dns_policy != "ClusterFirstWithHostNet"
    )
    if not without_cluster_dns or pod.spec.dns_policy == "None":
        return []
    sentence = (
        "does not use the cluster's DNS, by which members find each other; set it to "
        f'"{"ClusterFirstWithHostNet" if pod.spec.host_network else "ClusterFirst"}", or set '
        f'{PREFIX}discovery to "api"'
    )
    return [Problem("spec.dnsPolicy", sentence)]


def _endless_account(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Find a ServiceAccount that cannot exist: its name would be recorded, however long it is."""
    if spec.discovery != "api" or len(pod.spec.service_account_name) <= MAX_NAME:
        return []
    return [Problem("spec.serviceAccountName", f"is longer than {MAX_NAME} characters; name one that exists")]


def _shared_loopback(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    if not spec.pod_clients or not pod.spec.host_network:
        return []
    sentence = (
        "is true, so 127.0.0.1 is the node's, and any program on the node could be a client of the member; "
        f"remove it, or {PREFIX}clients"
    )
    return [Problem("spec.hostNetwork", sentence)]


def _impossible_platform(pod: Pod, containers: Sequence[Container]) -> Iterator[Problem]:
    """Find Windows Pods: members run on Linux, and their security context is invalid on Windows."""
    spec = pod.spec
    if spec.os is not None and spec.os.name == "windows":
        yield _on_windows("spec.os.name")
    if spec.node_selector and spec.node_selector.get("kubernetes.io/os") == "windows":
        yield _on_windows("spec.nodeSelector")
    # The API server wants all containers of a Pod to be such, or none.
    if spec.security_context is not None and spec.security_context.is_host_process:
        yield _host_process("spec")
    for index, container in enumerate(containers):
        context = container.security_context
        if context is not None and context.is_host_process:
            yield _host_process(pod.path_at(index))


def _on_windows(where: str) -> Problem:
    return Problem(where, f"is windows, but Hazelcast members run on Linux; remove {INJECT}")


def _host_process(path: str) -> Problem:
    return Problem(
        f"{path}.securityContext.windowsOptions.hostProcess",
        f"is true, but Hazelcast members run on Linux; remove it, or {INJECT}",
    )


def _too_small_pod(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Find resources of the whole Pod that leave no room for the member: the API server would reject them.

    Source: KEP-2837, "Pod Level Resource Specifications".
    """
    whole = pod.spec.resources
    if whole is None:
        return []
    found = []
    for resource, request, limit in (
        ("cpu", spec.cpu_request, spec.cpu_limit),
        ("memory", spec.memory_request, spec.memory_limit),
    ):
        highest = (whole.limits or {}).get(resource)
        if highest is not None and _is_less(highest, [_number(limit)]):
            sentence = (
                f"{shown(str(highest))} is less than the member's own {limit}; raise it, or lower "
                f"{PREFIX}{resource}-limit"
            )
            found.append(Problem(f"spec.resources.limits.{resource}", sentence))
        room = (whole.requests or {}).get(resource)
        if room is not None and _is_less(room, _at_once(pod, spec, resource, request)):
            sentence = (
                f"{shown(str(room))} is less than the containers and the member ({request}) request "
                f"together; raise it, or lower {PREFIX}{resource}-request"
            )
            found.append(Problem(f"spec.resources.requests.{resource}", sentence))
    return found


def _at_once(pod: Pod, spec: SidecarSpec, resource: str, member: str) -> Iterator[Decimal]:
    """Add up the requests that hold at the same time: while each init container runs, and afterwards.

    Source: KEP-753, "Sidecar Containers", resources.
    """
    sidecars = _number(member) if spec.native_sidecar else Decimal(0)
    for container in pod.spec.init_containers or ():
        request = _request(container, resource)
        if container.restart_policy == "Always":
            sidecars += request
        else:
            yield sidecars + request
    own = sum((_request(container, resource) for container in pod.spec.containers or ()), sidecars)
    yield own if spec.native_sidecar else own + _number(member)


def _request(container: Container, resource: str) -> Decimal:
    requests = container.resources.requests if container.resources else None
    return _number((requests or {}).get(resource, "0"))


_UNKNOWN = Decimal("NaN")
"""A sum with it is unknown, too; comparing it would raise, so `_is_less` asks first."""


def _number(text: Quantity) -> Decimal:
    """Read a quantity; signs, or more digits than anyone has memory, are for the API server to compare."""
    try:
        return quantity(str(text))
    except ValueError:
        return _UNKNOWN


def _is_less(room: Quantity, sums: Iterable[Decimal]) -> bool:
    """Tell whether some sum is known to be more than there is room for."""
    bound = _number(room)
    return not bound.is_nan() and any(not each.is_nan() and each > bound for each in sums)


def _impossible_budget(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Find a PodDisruptionBudget that would block every eviction."""
    if not spec.disruption_budget or is_scalable(pod):
        return []
    kind = owner_kind(pod)
    return [Problem(DISRUPTION_BUDGET, BLOCKING_BUDGET.format(f"a {shown(kind)}" if kind else "no workload"))]


BLOCKING_BUDGET = (
    'is "true", but {} made the Pod: a budget works for Pods of a Deployment, ReplicaSet or StatefulSet, and '
    "would block every eviction of this one; remove the annotation"
)

_MAX_RECORD = 2048
"""Maximal bytes of the Pod's status annotation."""


def _no_room_for_the_record(pod: Pod) -> list[Problem]:
    given = pod.metadata.annotations or {}
    if STATUS in given or fit(given, MAX_ANNOTATIONS - _MAX_RECORD):
        return []
    sentence = (
        f"are {annotation_bytes(given)} bytes, and the API server takes {MAX_ANNOTATIONS}, of which the "
        f"member's record needs up to {_MAX_RECORD}; shorten them, or remove {INJECT}"
    )
    return [Problem("metadata.annotations", sentence)]
