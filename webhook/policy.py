"""Pod + annotations -> a decision: inject, skip or deny. A decision is data: a reason code and a sentence.

| operation | inject annotation | member in the Pod        | other annotations | decision                  |
|-----------|-------------------|--------------------------|-------------------|---------------------------|
| not CREATE| any               | any                      | any               | skip NOT_A_CREATION       |
| CREATE    | absent            | any                      | none of ours      | skip NOT_REQUESTED        |
| CREATE    | absent            | any                      | some of ours      | skip NOT_REQUESTED, warns |
| CREATE    | "false"           | any                      | any               | skip DECLINED             |
| CREATE    | "true"            | injected by us           | any               | skip ALREADY_INJECTED     |
| CREATE    | neither           | any                      | any               | deny INVALID              |
| CREATE    | "true"            | no                       | invalid           | deny INVALID              |
| CREATE    | "true"            | something in its place   | valid             | deny COLLISION            |
| CREATE    | "true"            | no                       | valid             | inject                    |
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from webhook import annotations
from webhook.annotations import SidecarSpec
from webhook.errors import Problem
from webhook.names import (
    CONFIG_VOLUME,
    CONTAINER,
    GROUP,
    INJECT,
    PREFIX,
    STATUS,
    TMP_VOLUME,
    group_of_workload,
)
from webhook.pod import Pod, workload_name
from webhook.values import did_you_mean


class Reason(StrEnum):
    """Why it was decided so; the value is what logs and metrics carry."""

    INJECTED = "injected"
    NOT_A_CREATION = "not-a-creation"
    NOT_REQUESTED = "not-requested"
    DECLINED = "declined"
    ALREADY_INJECTED = "already-injected"
    INVALID = "invalid-annotations"
    COLLISION = "collision"


SENTENCES = {
    Reason.INJECTED: "a Hazelcast member was injected",
    Reason.NOT_A_CREATION: "members are injected when a Pod is created",
    Reason.NOT_REQUESTED: f"the Pod has no annotation {INJECT}",
    Reason.DECLINED: f'the annotation {INJECT} is "false"',
    Reason.ALREADY_INJECTED: "the Pod has its member already",
    Reason.INVALID: "the Pod's annotations cannot be used",
    Reason.COLLISION: "something in the Pod stands in the member's way",
}


class Inject(NamedTuple):
    """The Pod gets a member."""

    spec: SidecarSpec
    group: str
    service_account: str = ""
    """As which its members look for each other; only with discovery by API."""
    reason: Reason = Reason.INJECTED


class Skip(NamedTuple):
    """The Pod stays as it is."""

    reason: Reason
    warning: str | None = None


class Deny(NamedTuple):
    """The Pod cannot be created so."""

    reason: Reason
    problems: list[Problem]


Decision = Inject | Skip | Deny


def decide(pod: Pod, operation: str, defaults: Mapping[str, Any]) -> Decision:  # noqa: PLR0911 - a row, a return
    """What to do about one Pod, by the table above.

    Args:
        pod: as it was sent; read only.
        operation: of the admission request, such as CREATE.
        defaults: as `annotations.read_defaults` gives them.
    """
    if operation != "CREATE":
        return Skip(Reason.NOT_A_CREATION)
    given = pod.metadata.annotations or {}
    if INJECT not in given:
        return Skip(Reason.NOT_REQUESTED, _forgotten(given))
    if given[INJECT] == "false":
        return Skip(Reason.DECLINED)
    if is_injected(pod):
        return Skip(Reason.ALREADY_INJECTED)
    spec = annotations.parse(given, defaults)
    if not isinstance(spec, SidecarSpec):
        return Deny(Reason.INVALID, spec)
    group = spec.group or group_of_workload(workload_name(pod))
    problems = collisions(pod, spec, group)
    if problems:
        return Deny(Reason.COLLISION, problems)
    account = (pod.spec.service_account_name or "default") if spec.discovery == "api" else ""
    return Inject(spec, group, account)


def is_injected(pod: Pod) -> bool:
    """Whether the Pod carries our record and the container that the record speaks of."""
    return STATUS in (pod.metadata.annotations or {}) and any(
        container.name == CONTAINER for _, container in pod.every_container()
    )


def _forgotten(given: Mapping[str, str]) -> str | None:
    """A warning where a Pod has annotations of ours that do nothing, as inject is missing or misspelt."""
    ours = sorted(key for key in given if key.startswith(PREFIX) and key != STATUS)
    if not ours:
        return None
    misspelt = next((key for key in ours if key.removeprefix(PREFIX) not in annotations.NAMES), None)
    guess = did_you_mean(misspelt.removeprefix(PREFIX), ["inject"]) if misspelt else ""
    hint = guess or f'; add {INJECT}: "true"'
    return f"no Hazelcast member is injected: {misspelt or ours[0]} is set, {INJECT} is not{hint}"


def collisions(pod: Pod, spec: SidecarSpec, group: str) -> list[Problem]:
    """What in the Pod stands in the way of a working member, found before anything is patched."""
    return [
        *_taken_names(pod),
        *_taken_ports(pod, spec),
        *_foreign_group(pod, group),
        *_impossible_discovery(pod, spec),
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
