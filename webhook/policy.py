"""Pod + annotations -> a decision: inject, skip or deny. A decision is data: a reason code and a sentence.

| operation | inject annotation | member in the Pod        | other annotations | decision                  |
|-----------|-------------------|--------------------------|-------------------|---------------------------|
| not CREATE| any               | any                      | any               | skip NOT_A_CREATION       |
| CREATE    | absent            | any                      | none of ours      | skip NOT_REQUESTED        |
| CREATE    | absent            | any                      | some of ours      | skip NOT_REQUESTED, warns |
| CREATE    | "false"           | any                      | any               | skip DECLINED             |
| CREATE    | "true"            | injected by us           | any               | skip ALREADY_INJECTED     |
| CREATE    | not "false"       | no, and too many others  | any               | deny TOO_LARGE            |
| CREATE    | neither           | any                      | any               | deny INVALID              |
| CREATE    | "true"            | no                       | invalid           | deny INVALID              |
| CREATE    | "true"            | somebody's own           | valid             | skip HAND_WRITTEN, warns  |
| CREATE    | "true"            | something in its place   | valid             | deny COLLISION            |
| CREATE    | "true"            | no                       | valid             | inject                    |
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from webhook import annotations
from webhook.advice import advise
from webhook.annotations import Defaults, SidecarSpec
from webhook.collisions import collisions
from webhook.errors import Problem
from webhook.limits import excess, shown
from webhook.names import (
    CONTAINER,
    INJECT,
    PREFIX,
    RECORDS,
    STATUS,
    group_of_workload,
)
from webhook.pod import Pod, is_controlled, workload_name
from webhook.values import did_you_mean


class Reason(StrEnum):
    """Why it was decided so; the value is what logs and metrics carry."""

    INJECTED = "injected"
    NOT_A_CREATION = "not-a-creation"
    NOT_REQUESTED = "not-requested"
    DECLINED = "declined"
    ALREADY_INJECTED = "already-injected"
    HAND_WRITTEN = "hand-written-member"
    INVALID = "invalid-annotations"
    COLLISION = "collision"
    TOO_LARGE = "too-large"
    COPIED = "annotations-copied"
    UNCHANGED = "unchanged"
    UNINJECTED = "uninjected"
    NO_WORSE = "no-worse"


SENTENCES = {
    Reason.INJECTED: "a Hazelcast member was injected",
    Reason.NOT_A_CREATION: "members are injected when a Pod is created",
    Reason.NOT_REQUESTED: f"the Pod has no annotation {INJECT}",
    Reason.DECLINED: f'the annotation {INJECT} is "false"',
    Reason.ALREADY_INJECTED: "the Pod has its member already",
    Reason.HAND_WRITTEN: "the Pod has a Hazelcast member of its own",
    Reason.INVALID: "the Pod's annotations cannot be used",
    Reason.COLLISION: "something in the Pod stands in the member's way",
    Reason.TOO_LARGE: "the object has more elements than one whose Pods get a member can have",
    Reason.COPIED: "annotations of the workload were copied onto its Pod template",
    Reason.UNCHANGED: "the Pod template has what it should have",
    Reason.UNINJECTED: "what was injected was taken out",
    Reason.NO_WORSE: "the Pod template could not be used before either",
}


class Inject(NamedTuple):
    """The Pod gets a member."""

    spec: SidecarSpec
    group: str
    service_account: str = ""
    """As which its members look for each other; only with discovery by API."""
    warnings: tuple[str, ...] = ()
    reason: Reason = Reason.INJECTED


class Skip(NamedTuple):
    """The Pod stays as it is."""

    reason: Reason
    warnings: tuple[str, ...] = ()


class Deny(NamedTuple):
    """The Pod cannot be created so."""

    reason: Reason
    problems: list[Problem]


Decision = Inject | Skip | Deny


def decide(pod: Pod, operation: str, defaults: Defaults) -> Decision:  # noqa: PLR0911 - a row, a return
    """What to do about one Pod, by the table above.

    Args:
        pod: as it was sent; read only.
        operation: of the admission request, such as CREATE.
        defaults: what holds in its namespace where its annotations say nothing.
    """
    if operation != "CREATE":
        return Skip(Reason.NOT_A_CREATION)
    given = pod.metadata.annotations or {}
    if INJECT not in given:
        return Skip(Reason.NOT_REQUESTED, forgotten(given))
    if given[INJECT] == "false":
        return Skip(Reason.DECLINED)
    if is_injected(pod):
        return Skip(Reason.ALREADY_INJECTED)
    if too_many := excess(pod):
        return Deny(Reason.TOO_LARGE, too_many)
    spec = annotations.parse(given, defaults)
    if not isinstance(spec, SidecarSpec):
        return Deny(Reason.INVALID, spec)
    if own := _own_member(pod):
        return Skip(Reason.HAND_WRITTEN, (own,))
    group = spec.group or group_of_workload(workload_name(pod))
    problems = collisions(pod, spec, group)
    if problems:
        return Deny(Reason.COLLISION, problems)
    account = (pod.spec.service_account_name or "default") if spec.discovery == "api" else ""
    # Nobody reads what the controller of a workload is told about its Pods.
    warnings = () if is_controlled(pod) else advise(pod, spec)
    return Inject(spec, group, account, warnings)


def is_injected(pod: Pod) -> bool:
    """Whether the Pod carries our record and the container that the record speaks of."""
    return STATUS in (pod.metadata.annotations or {}) and any(
        container.name == CONTAINER for container in pod.containers
    )


def forgotten(given: Mapping[str, str]) -> tuple[str, ...]:
    """A warning where annotations of ours do nothing, as inject is missing or misspelt."""
    ours = [key for key in given if key.startswith(PREFIX) and key not in RECORDS]
    if not ours:
        return ()
    misspelt = min((key for key in ours if key.removeprefix(PREFIX) not in annotations.NAMES), default=None)
    guess = did_you_mean(misspelt.removeprefix(PREFIX), ["inject"]) if misspelt else ""
    hint = guess or f'; add {INJECT}: "true"'
    return (f"no Hazelcast member is injected: {shown(misspelt or min(ours))} is set, {INJECT} is not{hint}",)


MEMBER_IMAGES = ("hazelcast", "hazelcast-enterprise")
"""Repositories of members, whatever the registry."""


def _own_member(pod: Pod) -> str | None:
    """A warning where somebody gave the Pod a member by hand, as Hazelcast's guide has people do."""
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
