"""The decision about a workload: copy annotations onto its Pod template, leave it, or deny it.

A Pod that would be denied is reported at once, to the user of kubectl, rather than in the Events of a
ReplicaSet; but a workload that was just as wrong before is admitted, so that it can still be labelled or
corrected.

| operation | workload                             | its Pods    | its Pod template      | decision          |
|-----------|--------------------------------------|-------------|-----------------------|-------------------|
| neither   | any, or a subresource of it          |             |                       | skip NOT_A_WRITE  |
| either    | is being deleted                     |             |                       | skip DELETING     |
| either    | has no Pod template                  |             |                       | skip NO_TEMPLATE  |
| either    | a ReplicaSet or Job that is owned    |             |                       | skip CONTROLLED   |
| UPDATE    | any                                  | denied (*)  | any                   | skip NO_WORSE     |
| either    | any                                  | denied      | any                   | deny, as the Pods |
| UPDATE    | a Job                                | not denied  | lacks what it copies  | skip IMMUTABLE    |
| either    | any                                  | not denied  | lacks what it copies  | copy              |
| either    | any                                  | not denied  | lacks the label only  | copy LABELLED     |
| either    | any                                  | have members| as it should be       | skip UNCHANGED    |
| either    | any                                  | skipped     | as it should be       | skip, as the Pods |

"Either" is CREATE or UPDATE, "neither" anything else, and that row is in `reviewer.py`. What its Pods
get is decided by the table of `pod_decision.py`, and which label the template should have by that of
`template_label.py`. A template also lacks what it copies where it has more.
(*) For nothing that would not have denied the Pods of the workload as it is stored.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import pod_decision, propagation, template_label
from hazelcast_sidecar.injection.compatibility import membership_of
from hazelcast_sidecar.injection.fingerprint import UNKNOWN, fingerprint
from hazelcast_sidecar.injection.pod_decision import Decision, Deny, Inject, Reason, Restore, Skip
from hazelcast_sidecar.injection.propagation import Copying
from hazelcast_sidecar.injection.template_label import Labelling
from hazelcast_sidecar.injection.warnings import advise, advise_change, advise_workload
from hazelcast_sidecar.limits import MAX_ANNOTATIONS, fit, shown
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.opt_in import asks
from hazelcast_sidecar.model.pod import Pod, workload_name
from hazelcast_sidecar.model.workload import (
    Template,
    Workload,
    WorkloadKind,
    WrittenByUsers,
    as_pod,
    names_its_group,
    written_by_users,
)
from hazelcast_sidecar.names import COPIED, INJECT, PREFIX, STATUS, WRITTEN_ANNOTATIONS, group_of_workload
from hazelcast_sidecar.spec import annotations
from hazelcast_sidecar.spec.annotations import Defaults, SidecarSpec


class Copy(NamedTuple):
    """The metadata of the Pod template changes, and with it the annotation that records what was written."""

    copying: Copying
    labelling: Labelling
    warnings: tuple[str, ...] = ()
    outcome: str = ""
    """As in `Skip`."""
    reason: Reason = Reason.COPIED


WorkloadDecision = Copy | Skip | Deny


class _State(NamedTuple):
    """A workload at one moment, and what follows from it."""

    kind: WorkloadKind
    workload: Workload
    template: Template
    copying: Copying
    labelling: Labelling
    pod: Pod
    """The Pod that it would create."""
    decision: Decision
    """The decision about this Pod."""
    is_outdated: bool
    """Whether the template has a member that its annotations do not ask for."""

    @property
    def own(self) -> Mapping[str, str]:
        return self.workload.metadata.annotations or {}


class OfPods(NamedTuple):
    """The Pod that a workload will have made, and the decision about it."""

    pod: Pod
    decision: Decision


class WithPods(NamedTuple):
    """The decision about a workload, and the one about its Pods that it follows from."""

    decision: WorkloadDecision
    of_pods: OfPods | None
    """None if there was nothing to decide about the workload."""


def decide(
    kind: WorkloadKind,
    workload: Workload,
    before: Workload | None,
    defaults: Defaults,
    differs: Callable[[], bool],
) -> WorkloadDecision:
    """Decide about one workload; arguments as in `decide_with_pods`."""
    return decide_with_pods(kind, workload, before, defaults, differs).decision


def decide_with_pods(
    kind: WorkloadKind,
    workload: Workload,
    before: Workload | None,
    defaults: Defaults,
    differs: Callable[[], bool],
) -> WithPods:
    """Decide about one workload that is created or updated, and about its Pods.

    Args:
        kind: the kind of both.
        workload: as it was sent; not modified.
        before: as it is stored; None if it is created.
        defaults: the defaults of its namespace.
        differs: tells whether its Pod template, but for annotations and our label, is not the stored one.
    """
    now = _state(kind, workload, before, defaults, differs)
    if isinstance(now, Reason):
        return WithPods(Skip(now, tuple(_without_effect(kind, workload))), None)
    stored = _state(kind, before, before, defaults, _never) if before is not None else None
    then = stored if isinstance(stored, _State) else None
    decision = _decide(now, then, is_update=before is not None)
    return WithPods(decision, OfPods(now.pod, now.decision))


def _decide(now: _State, then: _State | None, *, is_update: bool) -> WorkloadDecision:
    """Decide by the rows of the table that look at the Pods."""
    if isinstance(now.decision, Deny):
        return _denial(now, now.decision, then)
    if _changes(now):
        if now.kind.name == "Job" and is_update:
            return Skip(Reason.IMMUTABLE, ("a Job's Pod template is immutable; delete and recreate the Job",))
        copies = now.copying.annotations != now.template.annotations
        reason = Reason.COPIED if copies else Reason.LABELLED
        return Copy(now.copying, now.labelling, _warnings(now, then), _news(now, then), reason)
    of_pods = isinstance(now.decision, Inject | Restore)  # about the Pods, and not about the workload
    reason = Reason.UNCHANGED if of_pods else now.decision.reason
    return Skip(reason, _warnings(now, then), _news(now, then))


def _never() -> bool:
    return False


def _state(
    kind: WorkloadKind,
    workload: Workload,
    before: Workload | None,
    defaults: Defaults,
    differs: Callable[[], bool],
) -> _State | Reason:
    """Find out what follows from a workload, or why there is nothing to decide about it."""
    template = workload.template
    if workload.metadata.deletion_timestamp:
        return Reason.DELETING
    if template is None:
        return Reason.NO_TEMPLATE
    if kind.name in {"ReplicaSet", "Job"} and workload.is_controlled():
        return Reason.CONTROLLED
    own = workload.metadata.annotations or {}
    # Who wrote what matters only if something was copied before.
    written = written_by_users(kind, workload) if COPIED in own else WrittenByUsers()
    label, recorded = template.labels.get(INJECT), propagation.labelled_before(own)
    labelled = INJECT in written.labels
    users = template_label.users_label(label, recorded=recorded, written=labelled)
    copied = propagation.plan(own, template.annotations, written.annotations, users)
    labelling = template_label.plan(
        label,
        recorded=recorded,
        written=labelled,
        asks=asks(copied.annotations, None),
        changes_anyway=lambda: _changes_anyway(copied, before, differs),
    )
    pod = as_pod(kind, workload, template, copied.annotations, _labels(template, labelling))
    decision = pod_decision.decide(pod, "CREATE", defaults)
    if copied.copied and not isinstance(decision, Deny) and not fit(copied.annotations, MAX_ANNOTATIONS):
        decision = Deny(Reason.TOO_LARGE, [_TOO_LARGE])
    outdated = _is_outdated(pod, decision, defaults)
    return _State(kind, workload, template, copied, labelling, pod, decision, outdated)


def _changes_anyway(copying: Copying, before: Workload | None, differs: Callable[[], bool]) -> bool:
    """Tell whether a template without the label will be another one than the stored template."""
    stored = before.template if before is not None else None
    if stored is None:
        return differs()
    return INJECT in stored.labels or copying.annotations != stored.annotations or differs()


def _labels(template: Template, labelling: Labelling) -> dict[str, str] | None:
    """Return the labels that a template will have."""
    if labelling.label == template.labels.get(INJECT):
        return template.metadata.labels if template.metadata else None
    return template_label.with_label(template.labels, labelling.label)


_TOO_LARGE = Problem(
    "metadata.annotations",
    f"are, with those of the Pod template, more than the {MAX_ANNOTATIONS} bytes that the API server takes; "
    f"shorten them, or remove {INJECT}",
)


def _is_outdated(pod: Pod, decision: Decision, defaults: Defaults) -> bool:
    """Tell whether a Pod was injected in its manifest, and its annotations or settings have changed since."""
    if decision.reason is not Reason.ALREADY_INJECTED:
        return False
    given = pod.metadata.annotations or {}
    try:
        injected = status.decode(given[STATUS])
    except (msgspec.MsgspecError, RecursionError):
        return False
    spec = annotations.parse(given, defaults)
    if not isinstance(spec, SidecarSpec):
        return True
    group = spec.group or group_of_workload(workload_name(pod))
    unchanged = injected.fingerprint in ("", UNKNOWN, fingerprint(spec, defaults.run_as_user))
    return injected.group != group or not unchanged


def _changes(state: _State) -> bool:
    """Tell whether the template, or the annotation that records what was written, must change."""
    record = propagation.copied_annotation(state.copying.copied, labelled=state.labelling.is_ours)
    return (
        state.copying.annotations != state.template.annotations
        or state.labelling.label != state.template.labels.get(INJECT)
        or state.own.get(COPIED) != record
    )


def _denial(now: _State, denial: Deny, then: _State | None) -> WorkloadDecision:
    problems = [_in_template(now.kind, problem) for problem in denial.problems]
    known = then.decision.problems if then and isinstance(then.decision, Deny) else []
    if set(denial.problems) <= set(known):
        return Skip(Reason.NO_WORSE, tuple(f"no Pod can be created: {problem}" for problem in problems))
    return Deny(denial.reason, problems)


def _in_template(kind: WorkloadKind, problem: Problem) -> Problem:
    """Turn a problem of a Pod into one of the template that it is created from."""
    if not problem.where.startswith("spec."):
        return problem
    return Problem(".".join((*kind.template, problem.where)), problem.sentence)


def _warnings(now: _State, then: _State | None) -> tuple[str, ...]:
    misplaced = _without_effect(now.kind, now.workload)
    return (*_contradictions(now), *_advice(now, then), *misplaced)


def _news(now: _State, then: _State | None) -> str:
    """Describe what the Pods will have, if they had something else."""
    outcome = _outcome(now)
    return outcome if outcome != (_outcome(then) if then else _NO_MEMBERS) else ""


_NO_MEMBERS = "removed: the Pods have no Hazelcast members, and the entries of their cluster are lost"


def _outcome(state: _State) -> str:
    """Describe what the Pods will have."""
    match state.decision:
        case Inject(spec=spec, group=group):
            is_known = spec.group or names_its_group(state.kind, state.workload.metadata.name)
            named = f'group "{group}", ' if is_known else ""
            return f'injected: each Pod gets a Hazelcast member, {named}cluster "{spec.cluster_name}"'
        case Skip(reason=Reason.ALREADY_INJECTED | Reason.HAND_WRITTEN) | Restore():
            return ""
        case _:
            return _NO_MEMBERS


_MAX_CONTRADICTIONS = 16
"""The number of warnings that an answer has room for."""


def _contradictions(state: _State) -> Iterator[str]:
    for key in state.copying.contradictions[:_MAX_CONTRADICTIONS]:
        own, counts = shown(state.own[key]), shown(state.copying.annotations[key])
        yield (
            f'{shown(key)} is "{own}" on the {state.kind.name} and "{counts}" on its Pod template, which '
            "counts; remove one of them"
        )


def _without_effect(kind: WorkloadKind, workload: Workload) -> Iterator[str]:
    """Yield annotations of ours in places without effect, with the place that counts."""
    if key := _first_of_ours(workload.job_annotations):
        yield (
            f"{key} has no effect in spec.jobTemplate.metadata; set it on the {kind.name} itself, or in "
            f"{'.'.join(kind.template)}.metadata"
        )
    own = workload.metadata.annotations or {}
    if kind.name == "Job" and workload.is_controlled() and (key := _first_of_ours(own)):
        yield f"{key} has no effect on a Job with a controller; set it on its controller"


def _first_of_ours(given: Mapping[str, str]) -> str | None:
    return next((key for key in given if key.startswith(PREFIX) and key not in WRITTEN_ANNOTATIONS), None)


OUTDATED_IN_TEMPLATE = (
    "the member in the Pod template is outdated by its annotations or the settings; run "
    "`hazelcast-sidecar inject` on the manifest again"
)


def _advice(now: _State, then: _State | None) -> Iterator[str]:
    match now.decision:
        case Inject(spec=spec, group=group):
            yield from advise(now.pod, spec)
            yield from advise_workload(now.kind, now.workload, spec)
            if then is not None and isinstance(then.decision, Inject):
                was = membership_of(then.decision.spec, then.decision.group)
                yield from advise_change(was, membership_of(spec, group))
        case Skip(reason=Reason.NOT_REQUESTED) if INJECT not in now.own:
            yield from pod_decision.forgotten({**now.own, **now.copying.annotations})
        case Skip(reason=Reason.ALREADY_INJECTED) if now.is_outdated:
            yield OUTDATED_IN_TEMPLATE
        case Skip(warnings=warnings) | Restore(warnings=warnings):
            yield from warnings
