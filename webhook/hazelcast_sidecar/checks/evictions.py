"""PodDisruptionBudgets of groups: how many members evictions may end at once, as those of a drained node."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hazelcast_sidecar.checks.disruptions import AREA, GroupSpec, group_specs, readable, unreadable
from hazelcast_sidecar.checks.group_health import Group
from hazelcast_sidecar.checks.results import CheckResult
from hazelcast_sidecar.checks.snapshot import ObjectName, Snapshot
from hazelcast_sidecar.checks.workloads import workload_of
from hazelcast_sidecar.group_objects.desired_objects import SCALABLE
from hazelcast_sidecar.injection.rollout_advice import CAN_BE_LOST, backups_in_words, most_at_once
from hazelcast_sidecar.injection.warnings import MAX_REPLICAS
from hazelcast_sidecar.kube.objects import owner_of
from hazelcast_sidecar.model.disruption import DisruptionBudget
from hazelcast_sidecar.names import DISRUPTION_BUDGET
from hazelcast_sidecar.text import some_of

_SHOWN = 3

_Budgets = Mapping[ObjectName, DisruptionBudget]


def budgets(snapshot: Snapshot) -> list[CheckResult]:
    """Check that evictions end no more Pods of a group at once than there are backups."""
    check = "PodDisruptionBudgets"
    if unread := AREA.unread(check, snapshot.pods, snapshot.budgets):
        return unread
    by_namespace: defaultdict[str, dict[ObjectName, DisruptionBudget]] = defaultdict(dict)
    for name, budget in readable(snapshot.budgets):
        by_namespace[name.namespace][name] = budget
    found: list[CheckResult] = []
    for each in group_specs(snapshot):
        namespace = each.group.namespace
        there = by_namespace[namespace]
        show = f"kubectl -n {namespace} get poddisruptionbudgets -o yaml"
        with AREA.passing_over(check, f"the budgets of the group {each.group}", show, found):
            found += _findings(check, each, there)
    found += unreadable(check, snapshot.budgets)
    return found or [AREA.ok(check, "evictions end no more Pods at once than there are backups")]


class _Cover(NamedTuple):
    """The budgets of a group's Pods; only the first Pods are looked at, which are all of any honest group."""

    covered: Counter[ObjectName]
    """How many Pods each budget counts."""
    uncovered: int
    contradicting: list[ObjectName]
    """Budgets that count the same Pod; no more than one may."""


def _cover(group: Group, there: _Budgets) -> _Cover:
    covered: Counter[ObjectName] = Counter()
    uncovered, contradicting = 0, list[ObjectName]()
    alike = Counter(tuple(sorted(pod.labels.items())) for pod in group.pods[:MAX_REPLICAS])
    for labels, number in alike.items():
        counting = [name for name, budget in there.items() if budget.selects(dict(labels))]
        if len(counting) > 1:
            contradicting = counting
        elif counting:
            covered[counting[0]] += number
        else:
            uncovered += number
    return _Cover(covered, uncovered, contradicting)


def _findings(check: str, each: GroupSpec, there: _Budgets) -> Iterator[CheckResult]:
    group, spec = each
    cover = _cover(group, there)
    if cover.contradicting:
        yield _contradicting(check, group, cover.contradicting)
        return
    ended = cover.uncovered + sum(there[name].at_once(number) for name, number in cover.covered.items())
    if ended <= most_at_once(spec):
        return
    losing = (
        f"evictions, as those of a drained node, may end {ended} of {len(group.pods)} Pods of the group "
        f"{group} at once, and {backups_in_words(spec)}: {CAN_BE_LOST}"
    )
    if len(cover.covered) == 1 and not cover.uncovered:
        (name,) = cover.covered
        yield _lax(check, name, there[name], losing, most_at_once(spec))
    elif _may_have_one(group):
        yield _without_one(check, group, [*cover.covered], losing)


def _contradicting(check: str, group: Group, names: list[ObjectName]) -> CheckResult:
    message = (
        f"more than one PodDisruptionBudget selects Pods of the group {group} ({_listed(names)}): every "
        "eviction of them fails, and a node that is drained keeps them"
    )
    fix = f"kubectl -n {group.namespace} delete {names[0].argument}  # or others, so that one is left"
    return AREA.warning(check, message, fix)


def _lax(check: str, name: ObjectName, budget: DisruptionBudget, losing: str, most: int) -> CheckResult:
    other = "  minAvailable: null\n" if budget.spec.min_available is not None else ""
    fix = f"kubectl -n {name.namespace} edit {name.argument}  # and change:"
    manifest = f"spec:\n  maxUnavailable: {most}\n{other}"
    return AREA.warning(check, f"{losing} (by the {name.kind} {name.name})", fix, manifest)


def _may_have_one(group: Group) -> bool:
    """Tell whether a budget works, and is not asked for: where it is, the group's objects are checked."""
    owners = {owner_of(pod) for pod in group.pods}
    scalable = all((owner.api_version, owner.kind) in SCALABLE for owner in owners)
    return scalable and not any(status.disruption_budget for status in group.statuses)


def _without_one(check: str, group: Group, others: list[ObjectName], losing: str) -> CheckResult:
    """Report a group without a budget for all of its Pods."""
    why = f"{_listed(others)} together let them" if others else "no PodDisruptionBudget selects them"
    workloads = dict.fromkeys(map(workload_of, group.pods))
    kubectl = f"kubectl -n {group.namespace}"
    delete = f"{kubectl} delete {' '.join(name.argument for name in others[:_SHOWN])} && " if others else ""
    annotated = " ".join(workload.argument for workload in [*workloads][:_SHOWN])
    fix = f"{delete}{kubectl} annotate {annotated} {DISRUPTION_BUDGET}=true  # a rollout; or in the manifest:"
    manifest = f'metadata:\n  annotations:\n    {DISRUPTION_BUDGET}: "true"\n'
    return AREA.warning(check, f"{losing} ({why})", fix, manifest)


def _listed(names: list[ObjectName]) -> str:
    return some_of([name.name for name in names], _SHOWN)
