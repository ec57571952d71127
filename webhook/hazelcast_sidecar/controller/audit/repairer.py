"""Repair by eviction: one Pod at a time in the whole cluster, so that its controller makes it again.

Neither can a Pod get a member later, nor can its member be changed: its containers are those that it was
created with. Eviction respects PodDisruptionBudgets, and each step waits until the previous one has healed.

A tenant decides how long that takes: by the grace period of Pods, and by replacements that never become
Ready. So the wait is bounded, and namespaces take turns: one namespace delays another by at most one
eviction.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from itertools import count
from time import monotonic

import msgspec

from hazelcast_sidecar.controller.audit.findings import DRIFTED, Finding, Findings, Tell
from hazelcast_sidecar.controller.audit.registered import Registered
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.injection.drift import DriftDetector, Verdict, as_created, as_sent, injected_pod
from hazelcast_sidecar.injection.patch import DEFAULT_GRACE_SECONDS
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError
from hazelcast_sidecar.kube.objects import POD, RUNNING, Metadata, owner_of
from hazelcast_sidecar.model.pod import Spec
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.runtime.log import LogLine

_LOOK_SECONDS = 2.0
_LATER_SECONDS = 10.0
"""Seconds after which an owner is tried again whose Pods cannot be evicted now."""
_GIVE_UP_SECONDS = 300.0
"""Seconds for the replacement of an evicted Pod to be Ready, in addition to the Pod's grace period."""
_MOST_GRACE_SECONDS = 900.0
"""The longest part of a grace period that is waited for; Kubernetes allows 68 years."""
_ASIDE_SECONDS = 3600.0


_Owner = tuple[str, str]
"""Namespace and uid: tenants write the owners of Pods that they create, and may write another's uid."""


def _owner(finding: Finding) -> _Owner:
    return finding.namespace, finding.owner.uid


class _Condition(msgspec.Struct, gc=False):
    type: str
    status: str


class _PodStatus(msgspec.Struct, gc=False):
    conditions: list[_Condition] | None = None


class LivePod(msgspec.Struct, gc=False):
    """A Pod as far as repair reads it."""

    metadata: Metadata
    spec: Spec
    status: _PodStatus

    @property
    def ready(self) -> bool:
        """Tell whether it is Ready and not terminating."""
        conditions = self.status.conditions or ()
        return self.metadata.deletion_timestamp is None and any(
            condition.type == "Ready" and condition.status == "True" for condition in conditions
        )


class Repairer:
    """Repairer that evicts while this replica leads.

    Args:
        api: to evict Pods, and to watch their replacements.
        detector: tells what is wrong with a Pod.
        repaired: the findings to repair, in this order.
        seconds: time of leading, with unchanged settings, before the first eviction.
        metrics: count evictions.
        log: receives each step.
        tell: receives what a person must look at.
        clock: a monotonic clock in seconds.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing it connects
        self,
        api: Api,
        detector: DriftDetector,
        repaired: list[Findings],
        *,
        seconds: float,
        metrics: ControllerMetrics,
        log: LogLine,
        tell: Tell,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._api, self._detector, self._repaired = api, detector, repaired
        self._seconds, self._metrics, self._log, self._tell = seconds, metrics, log, tell
        self._faults = Faults(metrics, log)
        self._clock = clock
        self._settled = clock()
        self._not_before: dict[_Owner, float] = {}
        """When an owner's Pods may be evicted again."""
        self._had_turn: dict[_Owner, int] = {}
        self._turns = count(1)
        self._blocked: set[_Owner] = set()
        """Owners for which a forbidden eviction was reported: that may last for days."""

    def settle(self) -> None:
        """Wait once more, because a change may reach the webhook later than this replica."""
        self._settled = self._clock() + self._seconds

    async def work(self) -> None:
        """Repair until cancelled."""
        self.settle()
        while True:
            for findings, found in self._next():
                await self._try(findings, found)
            await asyncio.sleep(_LOOK_SECONDS)

    def _next(self) -> Iterator[tuple[Findings, list[Finding]]]:
        """Yield one owner of each namespace, with those of its Pods that eviction would repair.

        So an owner waits for one eviction in each other namespace, however many owners that has; owners of
        one namespace take turns, too.
        """
        now = self._clock()
        self._not_before = {owner: when for owner, when in self._not_before.items() if when > now}
        waiting: defaultdict[str, list[tuple[Findings, list[Finding]]]] = defaultdict(list)
        known: set[_Owner] = set()
        for findings in self._repaired:
            for found in findings.by_owner():
                repairable = [finding for finding in found if finding.repairable]
                if not repairable:
                    continue
                known.add(_owner(found[0]))
                if _owner(found[0]) not in self._not_before:
                    waiting[found[0].namespace].append((findings, repairable))
        self._blocked &= known
        self._had_turn = {owner: turn for owner, turn in self._had_turn.items() if owner in known}
        for owners in waiting.values():
            if self._clock() >= self._settled:
                findings, found = min(owners, key=lambda each: self._had_turn.get(_owner(each[1][0]), 0))
                self._had_turn[_owner(found[0])] = next(self._turns)
                yield findings, found

    async def _try(self, findings: Findings, found: list[Finding]) -> None:
        try:
            await self._repair(findings, found)
        except (*CONNECTION_ERRORS, ApiError) as error:
            self._later(found[0], _ASIDE_SECONDS if _is_forbidden(error) else _LATER_SECONDS)
            self._say("repair failed", found[0], level="warning", error=str(error))
        except Exception as error:  # noqa: BLE001 - one owner's must not keep the others from repair
            self._later(found[0], _ASIDE_SECONDS)
            self._faults.note(Where.REPAIR, error, namespace=found[0].namespace, pod=found[0].name)

    async def _repair(self, findings: Findings, found: list[Finding]) -> None:
        """Evict one Pod of an owner, if that disrupts nothing now, and watch its replacement."""
        pods = {pod.metadata.uid: pod for pod in await self._pods_of(found[0])}
        registered = Registered(self._api)
        verdicts = {
            finding: await self._verdict(findings, pods.get(finding.uid), registered) for finding in found
        }
        found = [finding for finding, verdict in verdicts.items() if verdict and verdict.repairable]
        if not found:
            self._leave(verdicts)
            return
        # A Pod that is not Ready goes first, and need not wait for others: it serves no requests.
        chosen = min(found, key=lambda finding: pods[finding.uid].ready)
        pod = pods.pop(chosen.uid)
        if not await self._may_go(findings, pod, list(pods.values())):
            self._later(chosen, _LATER_SECONDS)
            return
        if await self._evict(findings, chosen, pod):
            await self._see(findings, chosen, pod, pods)

    async def _verdict(
        self, findings: Findings, pod: LivePod | None, registered: Registered
    ) -> Verdict | None:
        """Return what would be wrong with a replacement; None if this Pod is right, or terminating.

        For a drifted Pod its annotations alone do not tell: a changed default may conflict with other parts
        in it. And what is registered, or a namespace's labels, may have changed since it was found.
        """
        if pod is None or pod.metadata.deletion_timestamp is not None or not self._is_wrong(findings, pod):
            return None
        sent = as_sent(pod.metadata, pod.spec)
        selected = await registered.selected(pod.metadata.namespace, sent.metadata.labels or {})
        return self._detector.missed(pod.metadata.namespace, sent, selected)

    def _leave(self, verdicts: dict[Finding, Verdict | None]) -> None:
        """Skip an owner whose Pods cannot be repaired: they are right by now, or would get no member."""
        for finding, verdict in verdicts.items():
            if verdict:
                self._later(finding, _ASIDE_SECONDS)
                self._say("not evicted", finding, level="warning", why=verdict.sentence)
                return
            self._later(finding, _LATER_SECONDS)

    def _is_wrong(self, findings: Findings, pod: LivePod) -> bool:
        metadata = pod.metadata
        if self._detector.is_missed(metadata.namespace, as_created(metadata, pod.spec)):
            return True
        injected = injected_pod(metadata) if findings.reason == DRIFTED else None
        return injected is not None and self._detector.drifted(injected) is not None

    async def _may_go(self, findings: Findings, pod: LivePod, others: list[LivePod]) -> bool:
        """Tell whether the other Pods allow the eviction of a Pod.

        A member hands its entries over to the others of its group, so these must all be ready.
        """
        if findings.reason == DRIFTED:
            selector = f"{GROUP}={pod.metadata.labels.get(GROUP, '')}"
            return all([member.ready async for member in self._list(pod.metadata.namespace, selector)])
        if any(other.metadata.deletion_timestamp for other in others):
            return False
        return not pod.ready or all(other.ready for other in others)

    async def _evict(self, findings: Findings, chosen: Finding, pod: LivePod) -> bool:
        """Evict a Pod, and return whether it goes."""
        result, why = "evicted", chosen.verdict.sentence
        try:
            await self._api.evict(pod.metadata)
        except ApiError as error:
            result, why = _RESULTS.get(error.status, "error"), str(error)
            self._metrics.evictions[result].inc()
            if result == "error":
                raise
            self._later(chosen, max(_LATER_SECONDS, error.retry_after or 0))
            if _owner(chosen) not in self._blocked:
                self._blocked.add(_owner(chosen))
                self._say("not evicted", chosen, result=result, why=why)
            return False
        self._metrics.evictions[result].inc()
        self._blocked.discard(_owner(chosen))
        self._say("evicted", chosen, why=why)
        findings.forget(chosen.uid)
        return True

    async def _see(
        self, findings: Findings, chosen: Finding, evicted: LivePod, others: dict[str, LivePod]
    ) -> None:
        """Wait until the owner's Pods are as Ready as before, or suspend its evictions."""
        grace = evicted.spec.termination_grace_period_seconds
        grace = DEFAULT_GRACE_SECONDS if grace is None else grace
        seconds = _GIVE_UP_SECONDS + min(grace, _MOST_GRACE_SECONDS)
        patience = self._clock() + seconds
        while self._clock() < patience:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                pods = {pod.metadata.uid: pod for pod in await self._pods_of(chosen)}
            except (*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError):
                continue
            new = [pod for uid, pod in pods.items() if uid not in others and uid != chosen.uid]
            if wrong := next((pod for pod in new if self._is_wrong(findings, pod)), None):
                self._put_aside(findings, chosen, f"{wrong.metadata.name}, its replacement, is not better")
                return
            if len(pods) > len(others) and chosen.uid not in pods and _as_ready(pods, others):
                self._say("replaced", chosen)
                return
        self._put_aside(findings, chosen, f"its Pods were not all Ready within {seconds:g} s")

    def _put_aside(self, findings: Findings, chosen: Finding, why: str) -> None:
        """Suspend evictions of this owner's Pods: one that repairs nothing only disturbs."""
        self._later(chosen, _ASIDE_SECONDS)
        sentence = (
            f"{chosen.name} was evicted to repair it, but {why}; no further Pod is evicted for an hour. "
            "Check that the webhook runs, and what it says about these Pods"
        )
        self._say("eviction suspended", chosen, level="warning", why=why)
        reason = findings.reason
        self._tell(chosen.namespace, chosen.owner, reason, sentence, pod=chosen.pod, warning=True)

    def _later(self, finding: Finding, seconds: float) -> None:
        """Evict no Pods of this owner for a while."""
        self._not_before[_owner(finding)] = self._clock() + seconds

    async def _pods_of(self, finding: Finding) -> list[LivePod]:
        """Return the owner's Pods that have not ended."""
        listed = self._list(finding.namespace, finding.selector)
        return [pod async for pod in listed if owner_of(pod.metadata).uid == finding.owner.uid]

    async def _list(self, namespace: str, selector: str) -> AsyncIterator[LivePod]:
        query = {"labelSelector": selector, "fieldSelector": RUNNING}
        async for page in self._api.pages(POD, LivePod, namespace, **query):
            for pod in page.items:
                yield pod

    def _say(self, message: str, finding: Finding, *, level: str = "info", **fields: str) -> None:
        owner = f"{finding.owner.kind}/{finding.owner.name}"
        self._log(message, level=level, namespace=finding.namespace, owner=owner, pod=finding.name, **fields)


_RESULTS = {
    HTTPStatus.TOO_MANY_REQUESTS.value: "budget",
    HTTPStatus.NOT_FOUND.value: "gone",
    HTTPStatus.CONFLICT.value: "gone",
}


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN


def _as_ready(pods: dict[str, LivePod], before: dict[str, LivePod]) -> bool:
    """Tell whether every Pod is Ready that is new or was so before."""
    return all(pod.ready or (uid in before and not before[uid].ready) for uid, pod in pods.items())
