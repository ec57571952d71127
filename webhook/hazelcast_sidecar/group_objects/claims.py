"""Status annotations as claims: which are usable, and the facts in a Pod's spec that verify them.

The status is an annotation, so anyone who may create or update Pods can write it. The spec cannot be changed
after the Pod was created, and the member does what it says.
"""

from typing import NamedTuple

import msgspec

from hazelcast_sidecar.kube.objects import Metadata, owner_of
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.pod import NODE, ContainerPort
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import (
    CONFIG_VOLUME,
    CONTAINER,
    GROUP,
    RESOURCE_PREFIX,
    STATUS,
    is_group,
    is_object_name,
    resource_name,
)
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.untrusted import UndecodableError

_MAX_PORTS = 16
"""Ports of a member that count: it gets three at most, before those that other webhooks add."""


def claimed_status(pod: Metadata) -> Status | None:
    """Return the status annotation of a Pod, if it can be one of the Pod's group; None otherwise."""
    try:
        found = status.decode(pod.known_annotations.get(STATUS, ""))
    except UndecodableError:
        return None
    return None if is_mirror(owner_of(pod)) or why_unusable(pod, found) else found


def is_mirror(owner: OwnerReference) -> bool:
    """Tell whether a Pod with this owner represents a static Pod, into which nothing can be injected."""
    return (owner.api_version, owner.kind) == ("v1", NODE)


def why_unusable(pod: Metadata, found: Status) -> str | None:
    """Return why the status of a Pod cannot be one of the Pod's group; None if it can."""
    if found.group != pod.labels.get(GROUP) or not is_group(found.group):
        return "status and label differ"
    if found.discovery == "api" and not is_object_name(found.service_account):
        return "status without ServiceAccount"
    return None


class _Variable(msgspec.Struct, gc=False):
    name: str = ""
    value: str = ""


class _Container(msgspec.Struct, gc=False):
    name: str = ""
    env: list[_Variable] | None = None
    ports: list[ContainerPort] | None = None


class _ConfigMap(msgspec.Struct, gc=False):
    name: str = ""


class _Volume(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    config_map: _ConfigMap | None = None


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    service_account_name: str = ""


class _Metadata(msgspec.Struct, gc=False):
    uid: str = ""


class PodWithMember(msgspec.Struct, gc=False):
    """A Pod as far as it shows its member."""

    metadata: _Metadata
    spec: _Spec


class Facts(NamedTuple):
    """Facts that a Pod shows of its member; small, however large the Pod is."""

    found_by_dns: str
    """The group whose headless Service the member looks up; empty if there is none."""
    found_by_api: str
    """The group whose Pods the member asks the Kubernetes API for; empty if there is none."""
    ports: tuple[int, ...]
    """The ports that the member declares."""
    config_map: str
    """The ConfigMap that it reads its configuration from; empty if there is none."""
    service_account: str


def facts_of(pod: PodWithMember) -> Facts | None:
    """Return the facts of a Pod; None if it has no member."""
    containers = [*(pod.spec.init_containers or ()), *(pod.spec.containers or ())]
    member = next((each for each in containers if each.name == CONTAINER), None)
    if member is None:
        return None
    variables = {each.name: each.value for each in member.env or ()}
    by_label = variables.get("HAZELCAST_KUBERNETES_POD_LABEL_NAME") == GROUP
    volume = next((each for each in pod.spec.volumes or () if each.name == CONFIG_VOLUME), None)
    return Facts(
        found_by_dns=_group_of_service(variables.get("HAZELCAST_KUBERNETES_SERVICE_DNS", "")),
        found_by_api=_group(variables.get("HAZELCAST_KUBERNETES_POD_LABEL_VALUE", "")) if by_label else "",
        ports=tuple(each.container_port for each in (member.ports or ())[:_MAX_PORTS]),
        config_map=volume.config_map.name if volume and volume.config_map else "",
        service_account=pod.spec.service_account_name or "default",
    )


def contradiction(facts: Facts | None, status: Status) -> str | None:
    """Return what in a Pod contradicts its status annotation; None if nothing does.

    Only what a group's objects are made of is compared: another webhook may change the image or the cluster
    name. The spec does not show whether a PodDisruptionBudget or a NetworkPolicy is requested. That needs no
    proof: a workload asks for its own Pods alone (`group_objects/desired_objects.py`).
    """
    if facts is None:
        return f"the Pod has no container {CONTAINER}"
    if status.ports.members not in facts.ports:
        return f"the member declares no port {status.ports.members}"
    found_by = facts.found_by_dns if status.discovery == "dns" else facts.found_by_api
    if found_by != status.group:
        return f"the member does not look for the group {status.group} by {_WAYS[status.discovery]}"
    if not facts.config_map or not (status.config or facts.config_map == resource_name(status.group)):
        return f"the volume {CONFIG_VOLUME} is not the ConfigMap of the status"
    if status.discovery == "api" and facts.service_account != status.service_account:
        return f"the Pod's ServiceAccount is not {status.service_account}"
    return None


_WAYS = {"dns": "DNS", "api": "the Kubernetes API"}


def _group_of_service(name: str) -> str:
    return _group(name.removeprefix(RESOURCE_PREFIX)) if name.startswith(RESOURCE_PREFIX) else ""


def _group(text: str) -> str:
    return text if is_group(text) else ""
