"""The audit: looks for Pods that have no member though they ask for one, or another than they would get now.

Pods with a member are watched anyway. Those without one bear no label of ours, so all Pods are gone through
from time to time: a page of metadata at a time, and whole only those that carry our annotation.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import msgspec

from hazelcast_sidecar.controller.audit.drift_index import DriftIndex
from hazelcast_sidecar.controller.audit.findings import Finding, Findings, selector_of
from hazelcast_sidecar.controller.audit.registered import Registered
from hazelcast_sidecar.controller.shared.backoff import keep_up, run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.injection.drift import DriftDetector, as_created, unless_excluded
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError
from hazelcast_sidecar.kube.objects import POD, RUNNING, Metadata, Partial, owner_of
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.names import GROUP, INJECT
from hazelcast_sidecar.runtime.log import LogLine
from hazelcast_sidecar.spec.settings import Settings

_PAUSE_SECONDS = 1.0
"""Between two looks at injected Pods: a rollout changes many, one after the other."""


class Auditor:
    """Looks while this replica leads.

    Args:
        api: to list and read Pods.
        judge: says what is the matter with one.
        injected: the Pods with a member.
        missed: takes those without.
        drifted: takes those with another than they would get now.
        seconds: from one look at all Pods to the next.
        log: takes what failed.
        faults: takes what judging a Pod raises.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self,
        api: Api,
        detector: DriftDetector,
        injected: DriftIndex,
        missed: Findings,
        drifted: Findings,
        seconds: float,
        log: LogLine,
        faults: Faults,
    ) -> None:
        self._faults = faults
        self._api, self._detector, self._injected = api, detector, injected
        self._missed, self._drifted = missed, drifted
        self._seconds, self._log = seconds, log
        self._due = asyncio.Event()
        self._registered = Registered(api)

    def use(self, settings: Settings) -> None:
        """Compare with these settings from now on, and look at once.

        Raises:
            InvalidSettingsError: their defaults cannot be used; the ones before are still in use.
        """
        self._detector.use(settings)
        self._injected.changed.set()
        self._due.set()

    async def work(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_up(self._look_for_drifted, self._faults, Where.AUDIT))
                group.create_task(
                    run_periodically(
                        self._seconds,
                        self._look_for_missed,
                        self._log,
                        "audit failed",
                        self._faults,
                        Where.AUDIT,
                        self._until_due,
                    )
                )
        finally:
            self._missed.clear()
            self._drifted.clear()

    async def _look_for_drifted(self) -> None:
        self._injected.changed.set()
        while True:
            await self._injected.changed.wait()
            self._injected.changed.clear()
            drifted = await self._injected.drifted(self._detector, self._faults)
            self._drifted.replace([await self._unless_excluded(finding) for finding in drifted])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _look_for_missed(self) -> None:
        self._due.clear()
        self._registered = Registered(self._api)
        self._injected.changed.set()  # what is said of drifted Pods depends on what is registered, too
        self._missed.replace([finding async for finding in self._without_member()])

    async def _until_due(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), seconds)

    async def _without_member(self) -> AsyncIterator[Finding]:
        """Every Pod that should have a member and has none."""
        everywhere = self._api.pages(POD, Partial, labelSelector=f"!{GROUP}", fieldSelector=RUNNING)
        async for page in everywhere:
            for pod in _asking(item.metadata for item in page.items):
                if finding := await self._read(pod):
                    yield finding
        for pod in _asking(list(self._injected.unrecorded.values())):
            if finding := await self._read(pod):
                yield finding

    async def _read(self, pod: Metadata) -> Finding | None:
        """Judge one Pod; one that cannot be judged costs no other its turn."""
        with self._faults.pass_over(Where.AUDIT, namespace=pod.namespace, name=pod.name):
            return await self._judged(pod)
        return None

    async def _judged(self, pod: Metadata) -> Finding | None:
        """One Pod by the webhook's own decision, which needs all of it unless the annotations decline."""
        if not self._detector.is_missed(pod.namespace, as_created(pod)):
            return None
        document = await self._api.read(POD, pod.namespace, pod.name)
        if document is None or document["metadata"]["uid"] != pod.uid:
            return None
        selected = await self._registered.selected(pod.namespace, pod.labels)
        verdict = self._detector.missed(pod.namespace, msgspec.convert(document, Pod), selected)
        if verdict is None:
            return None
        return Finding(pod.namespace, pod.name, pod.uid, owner_of(pod), selector_of(pod), verdict)

    async def _unless_excluded(self, finding: Finding) -> Finding:
        """A drifted Pod, with what is to be said where one in its place would have no member."""
        with suppress(*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError):  # repair asks again
            selected = await self._registered.selected(finding.namespace, None)
            verdict = unless_excluded(finding.verdict, finding.namespace, selected)
            return msgspec.structs.replace(finding, verdict=verdict)
        return finding


def _asking(pods: Iterable[Metadata]) -> list[Metadata]:
    """Those that carry our annotation and are not on their way out; no more of a page is kept."""
    return [pod for pod in pods if INJECT in pod.known_annotations and not pod.deletion_timestamp]
