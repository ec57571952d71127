"""Whether a Pod keeps the quality-of-service class that its own containers give it.

Source: Kubernetes documentation, "Pod Quality of Service Classes".
"""

from collections.abc import Mapping

from hazelcast_sidecar.model.pod import Container, Pod, Quantity
from hazelcast_sidecar.names import PREFIX
from hazelcast_sidecar.spec.annotations import SidecarSpec
from hazelcast_sidecar.spec.values import quantity, quantity_if_any

_RESOURCES = ("cpu", "memory")


def about_quality(pod: Pod, spec: SidecarSpec) -> str | None:
    """Return a warning if the member takes the class Guaranteed from a Pod without having been asked to.

    A node under pressure evicts Pods of that class last. A request of the member in the Pod's own annotations
    is a decision, even if it is the default.
    """
    given = pod.metadata.annotations or {}
    for resource in _RESOURCES:
        request, limit = getattr(spec, f"{resource}_request"), getattr(spec, f"{resource}_limit")
        key = f"{PREFIX}{resource}-request"
        if quantity(request) < quantity(limit) and key not in given:
            if not _is_guaranteed(pod):
                return None
            return (
                f"with the member the Pod is no longer Guaranteed but Burstable, as it requests {request} of "
                f"{resource} and its limit is {limit}: set {key} and {resource}-limit to one value, or "
                f"{resource}-request alone to leave it so"
            )
    return None


def _is_guaranteed(pod: Pod) -> bool:
    """Tell whether each container requests its limits; those of the whole Pod count instead of them."""
    return pod.spec.resources is None and all(map(_requests_its_limits, pod.containers))


def _requests_its_limits(container: Container) -> bool:
    if container.resources is None:
        return False
    requests, limits = container.resources.requests or {}, container.resources.limits or {}
    return all(_are_equal(requests, limits, resource) for resource in _RESOURCES)


def _are_equal(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity], resource: str) -> bool:
    given = limits.get(resource, 0)
    limit = quantity_if_any(given)
    return limit != 0 and limit == quantity_if_any(requests.get(resource, given))
