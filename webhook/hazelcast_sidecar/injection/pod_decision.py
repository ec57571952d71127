"""The decision about a Pod: inject, restore, skip or deny, with a reason code and a sentence.

"inject" is what `opt_in` reads from the annotation and the label of that name.

| operation | inject    | status | member in the Pod        | other annotations | decision                  |
|-----------|-----------|--------|--------------------------|-------------------|---------------------------|
| not CREATE| any       | any    | any                      | any               | skip NOT_A_CREATION       |
| CREATE    | any       | there  | none that was injected   | any               | deny NO_MEMBER (*)        |
| CREATE    | absent    | either | any                      | none of ours      | skip NOT_REQUESTED        |
| CREATE    | absent    | either | any                      | some of ours      | skip NOT_REQUESTED, warns |
| CREATE    | "false"   | either | any                      | any               | skip DECLINED             |
| CREATE    | otherwise | either | any                      | of a mirror Pod   | skip MIRROR, warns        |
| CREATE    | otherwise | broken | injected by us           | any               | deny INVALID              |
| CREATE    | otherwise | there  | injected, another label  | any               | deny COLLISION            |
| CREATE    | otherwise | there  | injected, nothing lacks  | any               | skip ALREADY_INJECTED     |
| CREATE    | otherwise | either | none, too many others    | any               | deny TOO_LARGE            |
| CREATE    | otherwise | there  | injected, parts lack     | invalid           | deny INVALID              |
| CREATE    | otherwise | there  | injected, parts lack     | valid             | restore (**)              |
| CREATE    | neither   | absent | any                      | any               | deny INVALID              |
| CREATE    | "true"    | absent | any                      | invalid           | deny INVALID              |
| CREATE    | "true"    | absent | injected, with our label | valid             | restore (**)              |
| CREATE    | "true"    | absent | user-provided            | valid             | skip HAND_WRITTEN, warns  |
| CREATE    | "true"    | absent | something in its place   | valid             | deny COLLISION            |
| CREATE    | "true"    | absent | no                       | valid             | inject                    |

(*) Except for a mirror Pod, whose denial would change nothing.
(**) Or deny COLLISION, where beside the member is what would keep it from being injected.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import intact
from hazelcast_sidecar.injection.collisions import collisions, foreign_group
from hazelcast_sidecar.injection.excess import excess
from hazelcast_sidecar.injection.intact import Member, Missing
from hazelcast_sidecar.injection.warnings import advise
from hazelcast_sidecar.limits import shown
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.opt_in import DECLINED, asked
from hazelcast_sidecar.model.pod import Pod, is_controlled, is_scalable, workload_name
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import (
    DISRUPTION_BUDGET,
    GROUP,
    INJECT,
    MIRROR,
    PREFIX,
    STATUS,
    WRITTEN_ANNOTATIONS,
    group_of_workload,
    is_group,
)
from hazelcast_sidecar.spec import annotations
from hazelcast_sidecar.spec.annotations import Defaults, SidecarSpec
from hazelcast_sidecar.spec.values import did_you_mean


class Reason(StrEnum):
    """The reason of a decision, as in logs and metrics."""

    INJECTED = "injected"
    RESTORED = "restored"
    NOT_A_CREATION = "not-a-creation"
    NOT_REQUESTED = "not-requested"
    DECLINED = "declined"
    ALREADY_INJECTED = "already-injected"
    HAND_WRITTEN = "hand-written-member"
    MIRROR = "mirror-pod"
    NO_MEMBER = "status-without-member"
    INVALID = "invalid-annotations"
    COLLISION = "collision"
    TOO_LARGE = "too-large"
    COPIED = "annotations-copied"
    LABELLED = "template-labelled"
    UNCHANGED = "unchanged"
    NO_WORSE = "no-worse"
    NOT_A_WRITE = "not-a-write"
    DELETING = "being-deleted"
    NO_TEMPLATE = "no-pod-template"
    CONTROLLED = "controlled"
    IMMUTABLE = "immutable-template"
    UNINJECTED = "uninjected"
    NOT_INJECTED = "not-injected"


SENTENCES = {
    Reason.INJECTED: "a Hazelcast member was injected",
    Reason.RESTORED: "removed parts of the Hazelcast member were restored",
    Reason.NOT_A_CREATION: "members are injected when a Pod is created",
    Reason.NOT_REQUESTED: f"the Pod has no annotation or label {INJECT}",
    Reason.DECLINED: f'the annotation or the label {INJECT} is "false"',
    Reason.ALREADY_INJECTED: "the Pod has its member already",
    Reason.HAND_WRITTEN: "the Pod has a Hazelcast member of its own",
    Reason.MIRROR: "a mirror Pod only represents a static Pod",
    Reason.NO_MEMBER: f"the Pod has the annotation {STATUS} but no member",
    Reason.INVALID: "the Pod's annotations are invalid",
    Reason.COLLISION: "the Pod conflicts with the member container",
    Reason.TOO_LARGE: "the object has too many elements for a member",
    Reason.COPIED: "annotations of the workload were copied onto its Pod template",
    Reason.LABELLED: "the Pod template was labelled, so that the API server asks about its Pods",
    Reason.UNCHANGED: "the Pod template is as it should be",
    Reason.NO_WORSE: "the Pod template was invalid before, too",
    Reason.NOT_A_WRITE: "annotations are copied when a workload is created or updated",
    Reason.DELETING: "the workload is being deleted",
    Reason.NO_TEMPLATE: "the workload has no Pod template",
    Reason.CONTROLLED: "the workload is controlled by another object, whose Pod template counts",
    Reason.IMMUTABLE: "the Pod template of a Job is immutable",
    Reason.UNINJECTED: "the injected member was removed",
    Reason.NOT_INJECTED: "nothing was injected",
}


class Inject(NamedTuple):
    """The Pod gets a member."""

    spec: SidecarSpec
    group: str
    service_account: str = ""
    """The ServiceAccount of its members; only with discovery by API."""
    warnings: tuple[str, ...] = ()
    reason: Reason = Reason.INJECTED


class Restore(NamedTuple):
    """The Pod's removed parts of the member are restored."""

    injection: Inject
    """The status of the injection."""
    member: Member
    missing: Missing
    warnings: tuple[str, ...]
    reason: Reason = Reason.RESTORED

    @property
    def group(self) -> str:
        """Return the group of the member."""
        return self.injection.group


class Skip(NamedTuple):
    """The Pod, or the workload, stays unchanged."""

    reason: Reason
    warnings: tuple[str, ...] = ()
    outcome: str = ""
    """What a workload's Pods will have, where that is news: no warning, but it is said with them."""


class Deny(NamedTuple):
    """The Pod is denied."""

    reason: Reason
    problems: list[Problem]


Decision = Inject | Restore | Skip | Deny


class Outcome(Protocol):
    """A decision about a workload, or what it makes of a manifest."""

    @property
    def outcome(self) -> str:
        """Return what its Pods will have, if that is news."""

    @property
    def warnings(self) -> Sequence[str]:
        """Return the warnings."""


def said(decided: Outcome) -> tuple[str, ...]:
    """Return what goes to the user: the outcome, if it is news, and the warnings."""
    return (*filter(None, [decided.outcome]), *decided.warnings)


def decide(pod: Pod, operation: str, defaults: Defaults) -> Decision:  # noqa: PLR0911 - a row, a return
    """Decide about one Pod, by the table above.

    Args:
        pod: as it was sent; not modified.
        operation: of the admission request, such as CREATE.
        defaults: the defaults of its namespace.
    """
    if operation != "CREATE":
        return Skip(Reason.NOT_A_CREATION)
    given = pod.metadata.annotations or {}
    if STATUS in given:
        return _review_again(pod, given, defaults)
    if (skip := _not_asked(pod, given)) is not None:
        return skip
    if too_many := excess(pod):
        return Deny(Reason.TOO_LARGE, too_many)
    spec = _read_spec(pod, given, defaults)
    if not isinstance(spec, SidecarSpec):
        return Deny(Reason.INVALID, spec)
    group = spec.group or group_of_workload(workload_name(pod))
    if (decided := _restore_status(pod, spec, group)) is not None:
        return decided
    if own := _own_member(pod):
        return Skip(Reason.HAND_WRITTEN, (own,))
    problems = collisions(pod, spec, group)
    if problems:
        return Deny(Reason.COLLISION, problems)
    # Warnings about Pods reach only the controller of a workload.
    warnings = () if is_controlled(pod) else advise(pod, spec)
    return Inject(spec, group, _service_account(pod, spec), warnings)


def _not_asked(pod: Pod, given: Mapping[str, str]) -> Skip | None:
    """Return why a Pod with these annotations gets no member in any case; None if it may get one."""
    text = asked(given, pod.metadata.labels)
    if text is None:
        return Skip(Reason.NOT_REQUESTED, forgotten(given))
    if text == DECLINED:
        return Skip(Reason.DECLINED)
    if MIRROR in given:
        return Skip(Reason.MIRROR, (_MIRROR_WARNING,))
    return None


_MIRROR_WARNING = (
    "no Hazelcast member is injected: this is the mirror Pod of a static Pod, which the kubelet runs as its "
    f"file has it; use a DaemonSet, or remove {INJECT} from the file"
)


def _read_spec(pod: Pod, given: Mapping[str, str], defaults: Defaults) -> SidecarSpec | list[Problem]:
    """Read what a Pod asks for, without a budget where only the defaults ask and none can work.

    A default holds for Pods of every kind; a budget that blocks evictions for ever must not come of it.
    """
    if INJECT not in given:  # then the label asks, and its value may be as wrong as the annotation's
        given = {**given, INJECT: (pod.metadata.labels or {})[INJECT]}
    spec = annotations.parse(given, defaults)
    if (
        isinstance(spec, SidecarSpec)
        and spec.disruption_budget
        and DISRUPTION_BUDGET not in given
        and not is_scalable(pod)
    ):
        return msgspec.structs.replace(spec, disruption_budget=False)
    return spec


def _service_account(pod: Pod, spec: SidecarSpec) -> str:
    return (pod.spec.service_account_name or "default") if spec.discovery == "api" else ""


# --- Pods that are reviewed again --------------------------------------------------------------------------


def _review_again(pod: Pod, given: Mapping[str, str], defaults: Defaults) -> Decision:  # noqa: PLR0911 - as above
    """Decide about a Pod with a status annotation: one that was injected, or that says so."""
    member = intact.member_of(pod)
    if member is None and MIRROR not in given:
        return Deny(Reason.NO_MEMBER, [_problem(intact.NO_MEMBER)])
    if (skip := _not_asked(pod, given)) is not None:
        return skip
    assert member is not None  # noqa: S101 - a mirror Pod, skipped just before, or denied
    found = _read_status(given[STATUS])
    if found is None:
        return Deny(Reason.INVALID, [_problem(intact.UNREADABLE)])
    if problems := foreign_group(pod, found.group):
        return Deny(Reason.COLLISION, problems)
    missing = intact.missing(pod, member, found.discovery)
    if not any(missing):
        return Skip(Reason.ALREADY_INJECTED)
    if too_many := excess(pod):
        return Deny(Reason.TOO_LARGE, too_many)
    spec = _read_spec(pod, given, defaults)
    if not isinstance(spec, SidecarSpec):
        return Deny(Reason.INVALID, spec)
    # The defaults may have changed since, where the Pod is a copy; its other parts find members as before.
    spec = msgspec.structs.replace(spec, discovery=found.discovery)
    return _restore(pod, spec, found.group, member, missing)


def _restore_status(pod: Pod, spec: SidecarSpec, group: str) -> Restore | Deny | None:
    """Put back the status of a Pod whose label and member show that it was injected; None for others."""
    if (pod.metadata.labels or {}).get(GROUP) != group:
        return None
    member = intact.member_of(pod)
    if member is None:
        return None
    return _restore(pod, spec, group, member, intact.missing(pod, member, spec.discovery))


def _restore(pod: Pod, spec: SidecarSpec, group: str, member: Member, missing: Missing) -> Restore | Deny:
    """Put back what is missing, unless a Pod without the member would get none."""
    if problems := collisions(intact.blanked(pod, member), spec, group):
        return Deny(Reason.COLLISION, problems)
    warning = f"another webhook removed parts of the Hazelcast member, which are restored: {missing}"
    return Restore(Inject(spec, group, _service_account(pod, spec)), member, missing, (warning,))


def _read_status(text: str) -> Status | None:
    """Read a status annotation; None where it is none that an injection could have written."""
    try:
        found = status.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if is_group(found.group) else None


def _problem(sentence: str) -> Problem:
    return Problem(STATUS, sentence)


def forgotten(given: Mapping[str, str]) -> tuple[str, ...]:
    """Warn of annotations of ours without effect, as inject is missing or misspelt."""
    ours = [key for key in given if key.startswith(PREFIX) and key not in WRITTEN_ANNOTATIONS]
    if not ours:
        return ()
    misspelt = min((key for key in ours if key.removeprefix(PREFIX) not in annotations.NAMES), default=None)
    guess = did_you_mean(misspelt.removeprefix(PREFIX), ["inject"]) if misspelt else ""
    hint = guess or f'; add {INJECT}: "true"'
    return (f"no Hazelcast member is injected: {shown(misspelt or min(ours))} is set, {INJECT} is not{hint}",)


MEMBER_IMAGES = ("hazelcast", "hazelcast-enterprise")
"""Repositories of members, in any registry."""


def _own_member(pod: Pod) -> str | None:
    """Warn of a hand-written member, as in Hazelcast's guide."""
    for index, container in enumerate(pod.containers):
        if MEMBER_IMAGES[0] not in container.image:
            continue  # most images end here, without being taken apart
        repository = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        if repository in MEMBER_IMAGES:
            return (
                f'no Hazelcast member is injected: {pod.path_at(index)} "{shown(container.name)}" is one '
                f"already ({shown(container.image)}); remove it, with its volumes, to have one injected in "
                "its place"
            )
    return None
