"""What ends several members of a group at once, and what delays its rollouts.

Evictions, autoscalers and rollouts end Pods in an orderly way, so that members hand over their entries. One
that cannot leaves its entries to the backups: so no more should end at the same time than there are backups.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from hazelcast_sidecar.checks.group_health import Group, groups_of
from hazelcast_sidecar.checks.installation import todays_settings
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import ObjectName, Snapshot
from hazelcast_sidecar.checks.workloads import rolling_workloads, workload_of
from hazelcast_sidecar.injection.rollout_advice import (
    CAN_BE_LOST,
    Advice,
    about_readiness,
    about_rollout,
    backups_in_words,
    backups_of,
    most_at_once,
)
from hazelcast_sidecar.model.disruption import Autoscaler
from hazelcast_sidecar.model.rolling_workload import RollingWorkload
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings

AREA = Area("disruptions")

_MAX_PERIOD = 1800
"""The longest period of an autoscaler's policy, in seconds."""

_Form = TypeVar("_Form")
_Autoscalers = Mapping[ObjectName, tuple[ObjectName, Autoscaler]]


class GroupSpec(NamedTuple):
    """A group, and what the one of its Pods asks for that has the fewest backups."""

    group: Group
    spec: SidecarSpec


def group_specs(snapshot: Snapshot) -> Iterator[GroupSpec]:
    """Yield the groups with Pods whose annotations are valid; others are reported as drifted."""
    if isinstance(snapshot.pods, Unread):
        return
    defaults = DefaultSpecs(todays_settings(snapshot) or Settings())
    for group in groups_of(snapshot.pods):
        distinct = dict.fromkeys(tuple(sorted(pod.known_annotations.items())) for pod in group.pods)
        parsed = (parse(dict(annotations), defaults.of(group.namespace)) for annotations in distinct)
        specs = [spec for spec in parsed if isinstance(spec, SidecarSpec)]
        if specs:
            yield GroupSpec(group, min(specs, key=backups_of))


def readable(objects: Mapping[ObjectName, _Form | Unread] | Unread) -> Iterator[tuple[ObjectName, _Form]]:
    """Yield the objects that could be read."""
    if not isinstance(objects, Unread):
        yield from ((name, obj) for name, obj in objects.items() if not isinstance(obj, Unread))


def unreadable(check: str, objects: Mapping[ObjectName, _Form | Unread] | Unread) -> Iterator[CheckResult]:
    """Report the objects that could not be read, all in one finding."""
    if isinstance(objects, Unread):
        return
    unread = [(name, obj) for name, obj in objects.items() if isinstance(obj, Unread)]
    if unread:
        name, why = unread[0]
        number = "1 object" if len(unread) == 1 else f"{len(unread)} objects"
        sentence = f"{number}, such as {name.kind} {name.namespace}/{name.name}: {why.why}"
        yield AREA.skipped(f"{check} (some)", Unread(sentence))


def autoscalers(snapshot: Snapshot) -> list[CheckResult]:
    """Check that no autoscaler ends more Pods at once than there are backups."""
    check = "autoscalers"
    if unread := AREA.unread(check, snapshot.pods, snapshot.autoscalers):
        return unread
    targets = _targets(snapshot)
    found = [
        _scaled_down(check, *targets[workload], each.spec)
        for each in group_specs(snapshot)
        for workload in dict.fromkeys(map(workload_of, each.group.pods))
        if workload in targets and targets[workload][1].at_once > most_at_once(each.spec)
    ]
    found += unreadable(check, snapshot.autoscalers)
    return found or [AREA.ok(check, "none ends more Pods at once than there are backups")]


def _targets(snapshot: Snapshot) -> _Autoscalers:
    """Return the autoscaler of each workload; of several the one that ends the most Pods at once."""
    found: dict[ObjectName, tuple[ObjectName, Autoscaler]] = {}
    for name, autoscaler in readable(snapshot.autoscalers):
        target = autoscaler.spec.scale_target_ref
        workload = ObjectName(target.kind, name.namespace, target.name)
        if workload not in found or found[workload][1].at_once < autoscaler.at_once:
            found[workload] = name, autoscaler
    return found


def _scaled_down(check: str, name: ObjectName, autoscaler: Autoscaler, spec: SidecarSpec) -> CheckResult:
    by = "by its behavior.scaleDown" if autoscaler.rules.policies else "100 % every 15 s, the default"
    message = (
        f"the {name.kind} {name.namespace}/{name.name} may end {autoscaler.at_once} of "
        f"{autoscaler.spec.max_replicas} Pods at once ({by}), and {backups_in_words(spec)}: {CAN_BE_LOST}"
    )
    fix = f"kubectl -n {name.namespace} edit {name.argument}  # these lines replace its scaleDown.policies:"
    manifest = (
        "spec:\n  behavior:\n    scaleDown:\n      policies:\n      - type: Pods\n"
        f"        value: {most_at_once(spec)}\n"
        f"        periodSeconds: {min(spec.shutdown_timeout, _MAX_PERIOD)}\n"
    )
    return AREA.warning(check, message, fix, manifest)


def rollouts(snapshot: Snapshot) -> list[CheckResult]:
    """Check that no rollout ends more Pods at once than there are backups."""
    check = "rollouts"
    if unread := AREA.unread(check, snapshot.pods, snapshot.workloads):
        return unread
    targets = _targets(snapshot)
    found = [
        _advised(check, name, advice)
        for each, name, workload in _rolling(snapshot)
        if (advice := _about_rollout(each, name, workload, targets))
    ]
    found += unreadable(check, snapshot.workloads)
    return found or [AREA.ok(check, "none ends more Pods at once than there are backups")]


def _about_rollout(
    each: GroupSpec, name: ObjectName, workload: RollingWorkload, targets: _Autoscalers
) -> Advice | None:
    """Give advice for the most Pods that there may be."""
    pods = workload.spec.replicas or 0
    if name in targets:
        pods = max(pods, targets[name][1].spec.max_replicas)
    elif name.kind == "DaemonSet":
        pods = sum(workload_of(pod) == name for pod in each.group.pods)
    return about_rollout(name.kind, workload.strategy, pods, each.spec)


def readiness(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the kubelet soon finds out that an application is ready, which each rollout waits for."""
    check = "readiness"
    if unread := AREA.unread(check, snapshot.pods, snapshot.workloads):
        return unread
    found = [
        _advised(check, name, advice)
        for _, name, workload in _rolling(snapshot)
        if (advice := about_readiness(workload))
    ]
    found += unreadable(check, snapshot.workloads)
    return found or [AREA.ok(check, "applications are found ready within seconds")]


def _rolling(snapshot: Snapshot) -> Iterator[tuple[GroupSpec, ObjectName, RollingWorkload]]:
    """Yield the workloads of groups that have rollouts, as far as they were read."""
    read = dict(readable(snapshot.workloads))
    for each in group_specs(snapshot):
        for name in rolling_workloads(each.group.pods):
            if (workload := read.get(name)) is not None:
                yield each, name, workload


def _advised(check: str, name: ObjectName, advice: Advice) -> CheckResult:
    message = f"{name.kind} {name.namespace}/{name.name}: {advice.sentence}"
    fix = f"kubectl -n {name.namespace} edit {name.argument}  # and add or change:"
    return AREA.warning(check, message, fix, advice.manifest)
