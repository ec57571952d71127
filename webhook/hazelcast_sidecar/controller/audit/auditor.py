"""The audit, which finds Pods that ask for a member and have none, and Pods with an outdated one.

Pods with a member are watched anyway. Those without one have no label of ours, so all Pods are listed from
time to time: metadata page by page, and only Pods with our annotation are read as a whole.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import msgspec

from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.audit.findings import Finding, Findings
from hazelcast_sidecar.controller.audit.registered import Registered
from hazelcast_sidecar.controller.shared.backoff import keep_up, run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods, selector_of
from hazelcast_sidecar.injection.drift import DriftDetector, as_created, unless_excluded
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError
from hazelcast_sidecar.kube.objects import POD, RUNNING, Metadata, Partial, owner_of
from hazelcast_sidecar.model.opt_in import asked
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.runtime.log import LogLine
from hazelcast_sidecar.spec.settings import Settings

_PAUSE_SECONDS = 1.0
"""Seconds between two checks of injected Pods: a rollout changes many, one after the other."""


class Auditor:
    """Auditor that works while this replica leads.

    Args:
        api: to list and read Pods.
        detector: tells what is wrong with one.
        pods: the watched Pods.
        missed: receives Pods without a member.
        drifted: receives Pods with an outdated member.
        seconds: interval between audits of all Pods.
        log: receives failures.
        faults: receives exceptions of checking a Pod.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self,
        api: Api,
        detector: DriftDetector,
        pods: WatchedPods,
        missed: Findings,
        drifted: Findings,
        seconds: float,
        log: LogLine,
        faults: Faults,
    ) -> None:
        self._faults = faults
        self._api, self._detector, self._pods = api, detector, pods
        self._missed, self._drifted = missed, drifted
        self._seconds, self._log = seconds, log
        self._due = asyncio.Event()
        self._registered = Registered(api)

    def use(self, settings: Settings) -> None:
        """Compare with these settings from now on, and check at once.

        Raises:
            InvalidSettingsError: their defaults are invalid; the previous ones stay in use.
        """
        self._detector.use(settings)
        self._pods.changed.set()
        self._due.set()

    async def work(self) -> None:
        """Audit until cancelled."""
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
        self._pods.changed.set()
        while True:
            await self._pods.changed.wait()
            self._pods.changed.clear()
            drifted = await drifted_pods(self._pods, self._detector, self._faults)
            self._drifted.replace([await self._unless_excluded(finding) for finding in drifted])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _look_for_missed(self) -> None:
        self._due.clear()
        self._registered = Registered(self._api)
        self._pods.changed.set()  # what is said of drifted Pods depends on what is registered, too
        self._missed.replace([finding async for finding in self._without_member()])

    async def _until_due(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), seconds)

    async def _without_member(self) -> AsyncIterator[Finding]:
        """Yield every Pod that should have a member and has none."""
        everywhere = self._api.pages(POD, Partial, labelSelector=f"!{GROUP}", fieldSelector=RUNNING)
        async for page in everywhere:
            for pod in _asking(item.metadata for item in page.items):
                if finding := await self._read(pod):
                    yield finding
        for pod in _asking(list(self._pods.unrecorded.values())):
            if finding := await self._read(pod):
                yield finding

    async def _read(self, pod: Metadata) -> Finding | None:
        """Check one Pod; a failure concerns this Pod only."""
        with self._faults.pass_over(Where.AUDIT, namespace=pod.namespace, name=pod.name):
            return await self._judged(pod)
        return None

    async def _judged(self, pod: Metadata) -> Finding | None:
        """Check one Pod by the webhook's own decision, reading all of it unless its annotations decline."""
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
        """Return a drifted Pod's finding, with a note if a replacement would have no member."""
        with suppress(*CONNECTION_ERRORS, ApiError, msgspec.MsgspecError):  # repair asks again
            selected = await self._registered.selected(finding.namespace, None)
            verdict = unless_excluded(finding.verdict, finding.namespace, selected)
            return msgspec.structs.replace(finding, verdict=verdict)
        return finding


def _asking(pods: Iterable[Metadata]) -> list[Metadata]:
    """Return Pods that ask, or decline, and are not terminating; nothing else of a page is kept."""
    return [
        pod
        for pod in pods
        if asked(pod.known_annotations, pod.labels) is not None and not pod.deletion_timestamp
    ]
