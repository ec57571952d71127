"""What in a Pod stands in the way of a working member, found before anything is patched."""

from collections.abc import Iterator

from webhook.annotations import SidecarSpec
from webhook.errors import Problem
from webhook.names import CONFIG_VOLUME, CONTAINER, GROUP, INJECT, PREFIX, TMP_VOLUME
from webhook.pod import Container, Pod, Quantity
from webhook.values import quantity


def collisions(pod: Pod, spec: SidecarSpec, group: str) -> list[Problem]:
    """Everything that collides, each naming both sides and what resolves it."""
    return [
        *_taken_names(pod),
        *_taken_ports(pod, spec),
        *_foreign_group(pod, group),
        *_impossible_discovery(pod, spec),
        *_impossible_platform(pod),
        *_too_small_pod(pod, spec),
        *_no_room_for_the_record(pod),
    ]


def _taken_names(pod: Pod) -> Iterator[Problem]:
    for path, container in pod.every_container():
        if container.name == CONTAINER:
            yield Problem(
                path,
                f'is named "{CONTAINER}", as the member that {INJECT} asks for; rename or remove this '
                "container, or remove the annotation",
            )
    for index, volume in enumerate(pod.spec.volumes or ()):
        if volume.name in (CONFIG_VOLUME, TMP_VOLUME):
            yield Problem(
                f"spec.volumes[{index}]", f'is named "{volume.name}", as a volume of the member; rename it'
            )


def _taken_ports(pod: Pod, spec: SidecarSpec) -> Iterator[Problem]:
    member_ports = {spec.port: "port"}
    if spec.metrics:
        member_ports[spec.metrics_port] = "metrics-port"
    for path, container in pod.every_container():
        for port in container.ports or ():
            if port.container_port in member_ports and port.protocol == "TCP":
                yield Problem(
                    path,
                    f'container "{container.name}" declares port {port.container_port}, which the member '
                    f"needs; set {PREFIX}{member_ports[port.container_port]} to a free port",
                )


def _foreign_group(pod: Pod, group: str) -> Iterator[Problem]:
    labelled = (pod.metadata.labels or {}).get(GROUP)
    if labelled is not None and labelled != group:
        yield Problem(
            f"label {GROUP}",
            f'is "{labelled}", but the member joins the group "{group}"; remove the label and set the '
            f"annotation {GROUP}",
        )


def _impossible_discovery(pod: Pod, spec: SidecarSpec) -> Iterator[Problem]:
    """Members that cannot look for each other would only warn, each a cluster of its own."""
    if spec.discovery == "api":
        if pod.spec.automount_service_account_token is False:
            yield Problem(
                "spec.automountServiceAccountToken",
                "is false, but members that find each other by the Kubernetes API need the token; remove it, "
                f'or set {PREFIX}discovery to "dns"',
            )
        return
    without_cluster_dns = pod.spec.dns_policy == "Default" or (
        pod.spec.host_network and pod.spec.dns_policy != "ClusterFirstWithHostNet"
    )
    if without_cluster_dns and pod.spec.dns_policy != "None":
        yield Problem(
            "spec.dnsPolicy",
            "does not use the cluster's DNS, by which members find each other; set it to "
            f'"{"ClusterFirstWithHostNet" if pod.spec.host_network else "ClusterFirst"}", or set '
            f'{PREFIX}discovery to "api"',
        )


def _impossible_platform(pod: Pod) -> Iterator[Problem]:
    """Members run on Linux; a Windows Pod with their security context the API server would refuse."""
    for where, system in (
        ("spec.os.name", pod.spec.os.name if pod.spec.os else ""),
        ("spec.nodeSelector", (pod.spec.node_selector or {}).get("kubernetes.io/os", "")),
    ):
        if system == "windows":
            yield Problem(where, f"is windows, but Hazelcast members run on Linux; remove {INJECT}")
    # The API server wants all containers of a Pod to be such, or none.
    contexts = [(path, container.security_context) for path, container in pod.every_container()]
    for path, context in [("spec", pod.spec.security_context), *contexts]:
        if context is not None and context.is_host_process:
            yield Problem(
                f"{path}.securityContext.windowsOptions.hostProcess",
                f"is true, but Hazelcast members run on Linux; remove it, or {INJECT}",
            )


def _too_small_pod(pod: Pod, spec: SidecarSpec) -> Iterator[Problem]:
    """Resources of the whole Pod that leave no room for the member: the API server would refuse them.

    Source: KEP-2837, "Pod Level Resource Specifications".
    """
    whole = pod.spec.resources
    if whole is None:
        return
    for resource, request, limit in (
        ("cpu", spec.cpu_request, spec.cpu_limit),
        ("memory", spec.memory_request, spec.memory_limit),
    ):
        highest = (whole.limits or {}).get(resource)
        if highest is not None and _is_more([limit], highest):
            yield Problem(
                f"spec.resources.limits.{resource}",
                f"{highest} is less than the member's own {limit}; raise it, or lower "
                f"{PREFIX}{resource}-limit",
            )
        room = (whole.requests or {}).get(resource)
        if room is not None and any(_is_more(each, room) for each in _at_once(pod, spec, resource, request)):
            yield Problem(
                f"spec.resources.requests.{resource}",
                f"{room} is less than the containers and the member ({request}) request together; raise it, "
                f"or lower {PREFIX}{resource}-request",
            )


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


_MAX_ANNOTATIONS = 256 * 1024
"""Bytes of all annotations together, keys included, that the API server takes."""

_MAX_RECORD = 2048
"""Bytes that our record on the Pod has at most."""


def _no_room_for_the_record(pod: Pod) -> Iterator[Problem]:
    given = pod.metadata.annotations or {}
    if 4 * sum(len(key) + len(text) for key, text in given.items()) < _MAX_ANNOTATIONS - _MAX_RECORD:
        return  # no letter has more than four bytes
    size = sum(len(key.encode()) + len(text.encode()) for key, text in given.items())
    if size > _MAX_ANNOTATIONS - _MAX_RECORD:
        yield Problem(
            "metadata.annotations",
            f"are {size} bytes, and the API server takes {_MAX_ANNOTATIONS}, of which the member's record "
            f"needs up to {_MAX_RECORD}; shorten them, or remove {INJECT}",
        )
