"""Objects of each group, and whether they serve its Pods."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import ObjectName, Snapshot
from hazelcast_sidecar.checks.workloads import workload_of
from hazelcast_sidecar.group_objects.claims import claimed_status
from hazelcast_sidecar.group_objects.desired_objects import (
    OURS,
    SCALABLE,
    GroupWorkload,
    Participant,
    Unmet,
    of_group,
    requirements_of_group,
    unmet_requests,
)
from hazelcast_sidecar.kube.objects import JsonObject, Metadata, owner_of
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import CONTROLLER, GROUP, PREFIX, SERVICE_NAME, ZONE, resource_name

_AREA = Area("groups")
_DECISIVE = ("selector", "publishNotReadyAddresses", "clusterIP")
"""Fields without which DNS does not return every member."""


class Group(NamedTuple):
    """The injected Pods that form one cluster."""

    namespace: str
    name: str
    pods: list[Metadata]
    statuses: list[Status]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def groups_of(pods: Iterable[Metadata]) -> list[Group]:
    """Return every group, ordered by namespace and name, as the controller finds them."""
    found: defaultdict[tuple[str, str], list[tuple[Metadata, Status]]] = defaultdict(list)
    for pod in pods:
        if not pod.deletion_timestamp and (claimed := claimed_status(pod)):
            found[pod.namespace, claimed.group].append((pod, claimed))
    return [
        Group(namespace, name, [pod for pod, _ in members], [claimed for _, claimed in members])
        for (namespace, name), members in sorted(found.items(), key=lambda item: item[0])
    ]


def needed(groups: Iterable[Group]) -> list[ObjectName]:
    """Return the names of the objects that these groups need."""
    return [
        ObjectName(obj["kind"], group.namespace, obj["metadata"]["name"])
        for group in groups
        for obj in _rendered(group)
    ]


def unmet(groups: Iterable[Group]) -> list[ObjectName]:
    """Return the names of objects that these groups must not have, though some of their Pods ask for them."""
    return [_name_of(request, group) for group in groups for request in unmet_requests(_participants(group))]


def _rendered(group: Group) -> list[JsonObject]:
    """Render every object that a group needs, as the controller does."""
    return of_group(requirements_of_group(_participants(group)), group.name, group.namespace)


def _participants(group: Group) -> list[Participant]:
    return [
        Participant(_group_workload(pod), claimed)
        for pod, claimed in zip(group.pods, group.statuses, strict=True)
    ]


def _group_workload(pod: Metadata) -> GroupWorkload:
    workload, owner = workload_of(pod), owner_of(pod)
    name = f"{workload.kind}/{workload.name}"
    scalable = (owner.api_version, owner.kind) in SCALABLE
    return GroupWorkload(identity=name, name=name, scalable=scalable)


def _name_of(request: Unmet, group: Group) -> ObjectName:
    return ObjectName(request.kind, group.namespace, resource_name(group.name))


def requests(snapshot: Snapshot) -> list[CheckResult]:
    """Check that every group gets what its Pods ask for, and has nothing that it must not have."""
    check = "requests"
    if isinstance(snapshot.pods, Unread):
        return [_AREA.skipped(check, snapshot.pods)]
    found = [
        finding
        for group in groups_of(snapshot.pods)
        for request in unmet_requests(_participants(group))
        for finding in _unmet(check, group, request, snapshot)
    ]
    return found or [_AREA.ok(check, "every PodDisruptionBudget and NetworkPolicy that is requested exists")]


def _unmet(check: str, group: Group, request: Unmet, snapshot: Snapshot) -> list[CheckResult]:
    name = _name_of(request, group)
    fix = f"kubectl -n {group.namespace} get pods -l {GROUP}={group.name}  # shows their owners"
    found = [_AREA.warning(check, f"the group {group} gets no {request.kind}: {request.reason}", fix)]
    if isinstance(snapshot.unmet_requests, Unread):
        return found
    metadata = snapshot.unmet_requests.get(name)
    if isinstance(metadata, Metadata) and OURS.items() <= metadata.labels.items():
        message = f"the {name.kind} {name.name} in {name.namespace} must not exist: {request.reason}"
        fix = f"kubectl -n {name.namespace} delete {name.kind.lower()} {name.name}"
        found.append(_AREA.problem(check, message, fix))
    return found


def zones(snapshot: Snapshot) -> list[CheckResult]:
    """Check that Pods whose backups shall be in another zone know their own; nothing where there are none."""
    check = "zones"
    if isinstance(snapshot.pods, Unread):
        return [_AREA.skipped(check, snapshot.pods)]
    unknown = {
        str(group): [pod.name for pod in group.pods if not pod.labels.get(ZONE)]
        for group in groups_of(snapshot.pods)
        if any(status.backups == "zone" for status in group.statuses)
    }
    return [
        _AREA.warning(
            check,
            f"{len(pods)} Pods of the group {group}, such as {pods[0]}, do not know their zone: they are "
            "all in one, and an entry may have its backup beside it",
            f"kubectl get nodes -L {ZONE}  # Kubernetes 1.35 puts it on Pods; else {PREFIX}backups node",
        )
        for group, pods in unknown.items()
        if pods
    ]


def objects(snapshot: Snapshot) -> list[CheckResult]:
    """Check that all objects that the groups need exist, and are ours."""
    check = "objects"
    if isinstance(snapshot.existing_objects, Unread):
        return [_AREA.skipped(check, snapshot.existing_objects)]
    found: list[CheckResult] = []
    unread: dict[str, Unread] = {}
    for name, metadata in snapshot.existing_objects.items():
        if isinstance(metadata, Unread):
            unread[name.kind] = metadata
        elif metadata is None:
            message = f"the {name.kind} {name.name} is missing in {name.namespace}"
            fix = f"kubectl -n {snapshot.namespace} logs deployment/{CONTROLLER}"
            found.append(_AREA.problem(check, message, fix))
        elif not OURS.items() <= metadata.labels.items():
            found.append(_conflict(name))
    found += [_AREA.skipped(f"{check} ({kind})", why) for kind, why in unread.items()]
    return found or [
        _AREA.ok(
            check, f"{len(snapshot.existing_objects)} exist for injected Pods, all managed by the controller"
        )
    ]


def _conflict(name: ObjectName) -> CheckResult:
    group = name.name.removeprefix(resource_name(""))
    message = (
        f"the {name.kind} {name.name} in {name.namespace} exists but is not managed here; the members of the "
        f"group {group} need that name"
    )
    fix = f"kubectl -n {name.namespace} delete {name.kind.lower()} {name.name}  # or choose another {GROUP}"
    return _AREA.problem("objects", message, fix)


class _Dns(NamedTuple):
    """What DNS needs for the names of groups."""

    services: Mapping[tuple[str, str], JsonObject]
    endpoints: list[JsonObject]
    running: frozenset[str]


def services(snapshot: Snapshot) -> list[CheckResult]:
    """Check that each headless Service has what DNS needs, and has addresses."""
    check = "headless Services"
    parts = snapshot.pods, snapshot.services, snapshot.group_endpoints, snapshot.running
    for part in parts:
        if isinstance(part, Unread):
            return [_AREA.skipped(check, part)]
    pods, known, endpoints, running = cast(
        tuple[list[Metadata], Mapping[tuple[str, str], JsonObject], list[JsonObject], frozenset[str]], parts
    )
    dns = _Dns(known, endpoints, running)
    found = [
        _AREA.problem(check, *fault)
        for group in groups_of(pods)
        if (fault := _fault(group, dns, snapshot.namespace))
    ]
    return found or [_AREA.ok(check, "select the Pods of their groups, and have addresses")]


def _fault(group: Group, dns: _Dns, own_namespace: str) -> tuple[str, str] | None:
    """Return what is wrong with a group's headless Service, and the fix; None also without a Service."""
    name = resource_name(group.name)
    wanted = next((obj["spec"] for obj in _rendered(group) if obj["kind"] == "Service"), None)
    service = dns.services.get((group.namespace, name))
    if service is None or wanted is None:
        return None
    wrong = [field for field in _DECISIVE if service["spec"].get(field) != wanted[field]]
    if wrong:
        message = (
            f"{name} in {group.namespace} has a wrong {' and '.join(wrong)}: members do not find each other"
        )
        return (
            message,
            f"kubectl -n {own_namespace} logs deployment/{CONTROLLER}  # it reconciles the Service",
        )
    run = sum(pod.uid in dns.running for pod in group.pods)
    if run and not _has_address(group.namespace, name, dns.endpoints):
        message = f"{name} in {group.namespace} has no address though {run} of its Pods run"
        fix = f"kubectl -n {group.namespace} get endpointslices -l {SERVICE_NAME}={name} -o yaml"
        return message, fix
    return None


def _has_address(namespace: str, service: str, slices: list[JsonObject]) -> bool:
    return any(
        endpoint["addresses"]
        for each in slices
        if each["metadata"]["namespace"] == namespace
        and each["metadata"].get("labels", {}).get(SERVICE_NAME) == service
        for endpoint in each.get("endpoints") or ()
    )
