"""What stands beside the Pods of each group, and whether it serves them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import msgspec

from webhook import status
from webhook.checks.findings import Area, Finding, Unread
from webhook.checks.snapshot import Document, ObjectName, Snapshot
from webhook.kube.api import Metadata
from webhook.names import CONTROLLER, GROUP, STATUS, resource_name
from webhook.resources import OURS, needs_of, of_group
from webhook.status import Status

_AREA = Area("groups")
_SERVICE_NAME = "kubernetes.io/service-name"
_DECISIVE = ("selector", "publishNotReadyAddresses", "clusterIP")
"""Fields without which DNS does not answer with every member."""


class Group(NamedTuple):
    """The injected Pods that form one cluster."""

    namespace: str
    name: str
    pods: list[Metadata]
    statuses: list[Status]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def groups_of(pods: Iterable[Metadata]) -> list[Group]:
    """Every group, in the order of namespaces and names; a Pod whose record and label differ is in none."""
    found: defaultdict[tuple[str, str], list[tuple[Metadata, Status]]] = defaultdict(list)
    for pod in pods:
        try:
            record = status.decode(pod.annotations.get(STATUS, ""))
        except msgspec.MsgspecError:
            continue
        if record.group == pod.labels.get(GROUP) and not pod.deletion_timestamp:
            found[pod.namespace, record.group].append((pod, record))
    return [
        Group(namespace, name, [pod for pod, _ in members], [record for _, record in members])
        for (namespace, name), members in sorted(found.items(), key=lambda item: item[0])
    ]


def needed(groups: Iterable[Group]) -> list[ObjectName]:
    """The objects that must stand beside these groups."""
    return [
        ObjectName(obj["kind"], group.namespace, obj["metadata"]["name"])
        for group in groups
        for obj in of_group(needs_of(group.statuses), group.name, group.namespace)
    ]


def objects(snapshot: Snapshot) -> list[Finding]:
    """Whether all that the groups need is there, and ours."""
    check = "objects"
    if isinstance(snapshot.standing, Unread):
        return [_AREA.skipped(check, snapshot.standing)]
    found: list[Finding] = []
    unread: dict[str, Unread] = {}
    for name, metadata in snapshot.standing.items():
        if isinstance(metadata, Unread):
            unread[name.kind] = metadata
        elif metadata is None:
            message = f"the {name.kind} {name.name} is missing in {name.namespace}"
            fix = f"kubectl -n {snapshot.namespace} logs deployment/{CONTROLLER}"
            found.append(_AREA.problem(check, message, fix))
        elif not OURS.items() <= metadata.labels.items():
            found.append(_conflict(name))
    found += [_AREA.skipped(f"{check} ({kind})", why) for kind, why in unread.items()]
    return found or [_AREA.ok(check, f"{len(snapshot.standing)} stand beside injected Pods, all ours")]


def _conflict(name: ObjectName) -> Finding:
    group = name.name.removeprefix(resource_name(""))
    message = (
        f"the {name.kind} {name.name} in {name.namespace} is there and not ours, but the members of the "
        f"group {group} need one of that name"
    )
    fix = f"kubectl -n {name.namespace} delete {name.kind.lower()} {name.name}  # or annotate {GROUP}"
    return _AREA.problem("objects", message, fix)


class _Dns(NamedTuple):
    """What the names of groups resolve by."""

    services: Mapping[tuple[str, str], Document]
    endpoints: list[Document]
    running: frozenset[str]


def services(snapshot: Snapshot) -> list[Finding]:
    """Whether each headless Service says what DNS needs, and has addresses."""
    check = "headless Services"
    parts = snapshot.pods, snapshot.services, snapshot.group_endpoints, snapshot.running
    for part in parts:
        if isinstance(part, Unread):
            return [_AREA.skipped(check, part)]
    pods, known, endpoints, running = cast(
        tuple[list[Metadata], Mapping[tuple[str, str], Document], list[Document], frozenset[str]], parts
    )
    dns = _Dns(known, endpoints, running)
    found = [
        _AREA.problem(check, *fault)
        for group in groups_of(pods)
        if (fault := _fault(group, dns, snapshot.namespace))
    ]
    return found or [_AREA.ok(check, "select their groups, and have addresses where Pods run")]


def _fault(group: Group, dns: _Dns, own_namespace: str) -> tuple[str, str] | None:
    """What is wrong with a group's headless Service, and the fix; None also where there is no Service."""
    name = resource_name(group.name)
    rendered = of_group(needs_of(group.statuses), group.name, group.namespace)
    wanted = next((obj["spec"] for obj in rendered if obj["kind"] == "Service"), None)
    service = dns.services.get((group.namespace, name))
    if service is None or wanted is None:
        return None
    wrong = [field for field in _DECISIVE if service["spec"].get(field) != wanted[field]]
    if wrong:
        message = f"{name} in {group.namespace} has another {' and '.join(wrong)}: members do not meet"
        return message, f"kubectl -n {own_namespace} logs deployment/{CONTROLLER}  # it keeps the Service"
    run = sum(pod.uid in dns.running for pod in group.pods)
    if run and not _has_address(group.namespace, name, dns.endpoints):
        message = f"{name} in {group.namespace} has no address though {run} of its Pods run"
        fix = f"kubectl -n {group.namespace} get endpointslices -l {_SERVICE_NAME}={name} -o yaml"
        return message, fix
    return None


def _has_address(namespace: str, service: str, slices: list[Document]) -> bool:
    return any(
        endpoint["addresses"]
        for each in slices
        if each["metadata"]["namespace"] == namespace
        and each["metadata"].get("labels", {}).get(_SERVICE_NAME) == service
        for endpoint in each.get("endpoints") or ()
    )
