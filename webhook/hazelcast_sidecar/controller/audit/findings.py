"""Findings of the audit, grouped by owner, and reported when they change."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol

import msgspec

from hazelcast_sidecar.injection.drift import Verdict
from hazelcast_sidecar.kube.objects import pod_reference
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

MISSED, DRIFTED = "Missed", "Drifted"
_STATES = {MISSED: "without the member that is asked for", DRIFTED: "with an outdated member"}

MAKES_AGAIN = frozenset(
    (
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("v1", "ReplicationController"),
    )
)
"""apiVersion and kind of the owners that replace a deleted Pod by one from the same template."""


class Tell(Protocol):
    """Reports to the users of an owner of Pods, for example by an Event."""

    def __call__(  # noqa: PLR0913 - as Recorder.tell
        self,
        namespace: str,
        owner: OwnerReference,
        reason: str,
        sentence: str,
        *,
        pod: OwnerReference | None,
        warning: bool = False,
    ) -> None:
        """Report it; never wait, never raise."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One Pod with a problem."""

    namespace: str
    name: str
    uid: str
    owner: OwnerReference
    selector: str
    """A selector of all Pods of the owner, to list fewer; may be empty."""
    verdict: Verdict

    @property
    def pod(self) -> OwnerReference:
        """Return a reference to the Pod for an Event."""
        return pod_reference(self.name, self.uid)

    @property
    def repairable(self) -> bool:
        """Tell whether evicting it would help."""
        return self.verdict.repairable and (self.owner.api_version, self.owner.kind) in MAKES_AGAIN


class _LastNotice(NamedTuple):
    """The last report about an owner."""

    pods: int
    sentence: str


class Findings:
    """All Pods with one problem.

    Args:
        reason: MISSED or DRIFTED.
        log: receives a line for each owner when it changes.
        tell: receives a report likewise.
    """

    def __init__(self, reason: str, log: LogLine, tell: Tell) -> None:
        self.reason = reason
        self._log, self._tell = log, tell
        self._found: dict[str, Finding] = {}
        self._reported: dict[tuple[str, OwnerReference], _LastNotice] = {}

    def by_owner(self) -> Iterator[list[Finding]]:
        """Yield the findings of each owner, ordered by namespace and name."""
        ordered = sorted(self._found.values(), key=_place)
        for _, found in groupby(ordered, key=_owner):
            yield list(found)

    def by_namespace(self) -> Counter[str]:
        """Return the number of such Pods in each namespace that has some."""
        return Counter(finding.namespace for finding in self._found.values())

    def replace(self, found: Iterable[Finding]) -> None:
        """Replace all findings."""
        self._found = {finding.uid: finding for finding in found}
        old, self._reported = self._reported, {}
        for findings in self.by_owner():
            self._say_new(findings, old.pop(_owner(findings[0]), None))
        for namespace, owner in old:
            self._log(f"{self.reason} Pods resolved", namespace=namespace, owner=_shown(owner))

    def forget(self, uid: str) -> None:
        """Forget a Pod that has gone; the next audit reports what became of its owner."""
        self._found.pop(uid, None)

    def clear(self) -> None:
        """Forget everything, because another replica audits now."""
        self._found.clear()
        self._reported.clear()

    def _say_new(self, findings: list[Finding], old: _LastNotice | None) -> None:
        """Report what is new; fewer Pods are not news until there are none."""
        first, count = findings[0], len(findings)
        self._reported[_owner(first)] = _LastNotice(count, first.verdict.sentence)
        if old and old.pods >= count and old.sentence == first.verdict.sentence:
            return
        pods = f"{count} Pod runs" if count == 1 else f"{count} Pods run"
        sentence = f"{pods} {_STATES[self.reason]}, for example {first.name}: {first.verdict.sentence}"
        self._log(
            self.reason,
            level="warning",
            namespace=first.namespace,
            owner=_shown(first.owner),
            pods=count,
            sentence=sentence,
        )
        warning = self.reason == MISSED
        self._tell(first.namespace, first.owner, self.reason, sentence, pod=first.pod, warning=warning)


def _place(finding: Finding) -> tuple[str, ...]:
    """Return a sort key that keeps findings of one owner together, for any text that tenants give owners."""
    owner = finding.owner
    return finding.namespace, owner.name, owner.uid, owner.kind, owner.api_version, finding.name


def _owner(finding: Finding) -> tuple[str, OwnerReference]:
    return finding.namespace, finding.owner


def _shown(owner: OwnerReference) -> str:
    return f"{owner.kind}/{owner.name}"
