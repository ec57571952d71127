"""What in a Pod stands in the way of a working member, found before anything is patched."""

from collections.abc import Iterator, Sequence

from webhook.annotations import SidecarSpec
from webhook.errors import Problem
from webhook.names import CONFIG_VOLUME, CONTAINER, GROUP, INJECT, MAX_ANNOTATIONS, PREFIX, TMP_VOLUME
from webhook.pod import Container, Pod, Quantity, Spec
from webhook.values import quantity


def collisions(pod: Pod, spec: SidecarSpec, group: str) -> list[Problem]:
    """Everything that collides, each naming both sides and what resolves it."""
    containers = pod.containers
    return [
        *_taken_names(pod, containers),
        *_taken_ports(pod, spec, containers),
        *_foreign_group(pod, group),
        *_impossible_discovery(pod, spec),
        *_shared_loopback(pod, spec),
        *_impossible_platform(pod, containers),
        *_too_small_pod(pod, spec),
        *_no_room_for_the_record(pod),
    ]


def _taken_names(pod: Pod, containers: Sequence[Container]) -> list[Problem]:
    found = [
        Problem(
            pod.path_of(container),
            f'is named "{CONTAINER}", as the member that {INJECT} asks for; rename or remove this '
            "container, or remove the annotation",
        )
        for container in containers
        if container.name == CONTAINER
    ]
    for index, volume in enumerate(pod.spec.volumes or ()):
        if volume.name == CONFIG_VOLUME or volume.name == TMP_VOLUME:  # noqa: PLR1714 - no tuple on the hot path
            sentence = f'is named "{volume.name}", as a volume of the member; rename it'
            found.append(Problem(f"spec.volumes[{index}]", sentence))
    return found


def _taken_ports(pod: Pod, spec: SidecarSpec, containers: Sequence[Container]) -> list[Problem]:
    member_ports = {spec.port: "port"}
    if spec.pod_clients:
        member_ports |= dict.fromkeys(spec.ports, "port")
    if spec.metrics:
        member_ports[spec.metrics_port] = "metrics-port"
    return [
        Problem(
            pod.path_of(container),
            f'container "{container.name}" declares port {port.container_port}, which the member '
            f"needs; set {PREFIX}{member_ports[port.container_port]} to a free port",
        )
        for container in containers
        for port in container.ports or ()
        if port.container_port in member_ports and port.protocol == "TCP"
    ]


def _foreign_group(pod: Pod, group: str) -> list[Problem]:
    labelled = (pod.metadata.labels or {}).get(GROUP)
    if labelled is None or labelled == group:
        return []
    sentence = (
        f'is "{labelled}", but the member joins the group "{group}"; remove the label and set the '
        f"annotation {GROUP}"
    )
    return [Problem(f"label {GROUP}", sentence)]


def _impossible_discovery(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Members that cannot look for each other would only warn, each a cluster of its own."""
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


def _shared_loopback(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    if not spec.pod_clients or not pod.spec.host_network:
        return []
    sentence = (
        "is true, so 127.0.0.1 is the node's, and whatever runs on the node could be a client of the member; "
        f"remove it, or {PREFIX}clients"
    )
    return [Problem("spec.hostNetwork", sentence)]


def _impossible_platform(pod: Pod, containers: Sequence[Container]) -> list[Problem]:
    """Members run on Linux; a Windows Pod with their security context the API server would refuse."""
    found = []
    for where, system in (
        ("spec.os.name", pod.spec.os.name if pod.spec.os else ""),
        ("spec.nodeSelector", (pod.spec.node_selector or {}).get("kubernetes.io/os", "")),
    ):
        if system == "windows":
            found.append(Problem(where, f"is windows, but Hazelcast members run on Linux; remove {INJECT}"))
    # The API server wants all containers of a Pod to be such, or none.
    paths = [pod.path_of(container) for container in containers if _is_host_process(container)]
    return found + [
        Problem(
            f"{path}.securityContext.windowsOptions.hostProcess",
            f"is true, but Hazelcast members run on Linux; remove it, or {INJECT}",
        )
        for path in (["spec"] if _is_host_process(pod.spec) else []) + paths
    ]


def _is_host_process(holder: Container | Spec) -> bool:
    context = holder.security_context
    return context is not None and context.is_host_process


def _too_small_pod(pod: Pod, spec: SidecarSpec) -> list[Problem]:
    """Resources of the whole Pod that leave no room for the member: the API server would refuse them.

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
        if highest is not None and _is_more([limit], highest):
            sentence = (
                f"{highest} is less than the member's own {limit}; raise it, or lower "
                f"{PREFIX}{resource}-limit"
            )
            found.append(Problem(f"spec.resources.limits.{resource}", sentence))
        room = (whole.requests or {}).get(resource)
        if room is not None and any(_is_more(each, room) for each in _at_once(pod, spec, resource, request)):
            sentence = (
                f"{room} is less than the containers and the member ({request}) request together; raise it, "
                f"or lower {PREFIX}{resource}-request"
            )
            found.append(Problem(f"spec.resources.requests.{resource}", sentence))
    return found


def _at_once(pod: Pod, spec: SidecarSpec, resource: str, member: str) -> Iterator[list[Quantity]]:
    """Requests that hold at the same time: while each init container runs, and afterwards.

    Source: KEP-753, "Sidecar Containers", resources.
    """
    sidecars: list[Quantity] = [member] if spec.native_sidecar else []
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":
            sidecars.append(_request(container, resource))
        else:
            yield [*sidecars, _request(container, resource)]
    own = [_request(container, resource) for container in pod.spec.containers or ()]
    yield [*sidecars, *own, *([] if spec.native_sidecar else [member])]


def _request(container: Container, resource: str) -> Quantity:
    requests = container.resources.requests if container.resources else None
    return (requests or {}).get(resource, "0")


def _is_more(quantities: list[Quantity], than: Quantity) -> bool:
    try:
        return sum(quantity(str(each)) for each in quantities) > quantity(str(than))
    except ValueError:
        return False  # signs, or more digits than anyone has memory: the API server compares them itself


_MAX_RECORD = 2048
"""Bytes that our record on the Pod has at most."""


def _no_room_for_the_record(pod: Pod) -> list[Problem]:
    given = pod.metadata.annotations or {}
    if 4 * (sum(map(len, given)) + sum(map(len, given.values()))) < MAX_ANNOTATIONS - _MAX_RECORD:
        return []  # no letter has more than four bytes
    size = sum(len(key.encode()) + len(text.encode()) for key, text in given.items())
    if size <= MAX_ANNOTATIONS - _MAX_RECORD:
        return []
    sentence = (
        f"are {size} bytes, and the API server takes {MAX_ANNOTATIONS}, of which the member's record "
        f"needs up to {_MAX_RECORD}; shorten them, or remove {INJECT}"
    )
    return [Problem("metadata.annotations", sentence)]
