"""An index of injected Pods for drift detection, in which Pods of a workload share what is kept."""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from hazelcast_sidecar.controller.audit.findings import Finding, selector_of
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.injection.drift import DriftDetector, InjectedPod, Verdict, injected_pod
from hazelcast_sidecar.kube.objects import Metadata, owner_of
from hazelcast_sidecar.names import INJECT, STATUS
from hazelcast_sidecar.owners import OwnerReference

_AT_ONCE = 200
_SPARE = 100


class _Workload(NamedTuple):
    """What Pods of one workload have in common."""

    injected: InjectedPod
    owner: OwnerReference
    selector: str


class DriftIndex:
    """Index of every Pod with the label of a group."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, _Workload]] = {}
        self._shared: dict[_Workload, _Workload] = {}
        self.unrecorded: dict[str, Metadata] = {}
        """Pods with the label from their template that ask for a member, by uid."""
        self.changed = asyncio.Event()

    def retain(self, uids: Collection[str]) -> None:
        """Forget all Pods but these."""
        for uid in [uid for uid in (*self._pods, *self.unrecorded) if uid not in uids]:
            self._forget(uid)

    def upsert(self, item: Metadata) -> None:
        """Add or update a Pod; a terminating one needs no repair."""
        injected = None if item.deletion_timestamp else injected_pod(item)
        if injected is None:
            self.remove(item)
            if INJECT in item.known_annotations and STATUS not in item.known_annotations:
                self.unrecorded[item.uid] = item
            return
        workload = _Workload(injected, owner_of(item), selector_of(item))
        known = self._pods.get(item.uid)
        if known is None or known[1] != workload:
            self._pods[item.uid] = (item.name, self._shared.setdefault(workload, workload))
            self.changed.set()
            if len(self._shared) > 2 * len(self._pods) + _SPARE:
                self._share()  # Pods can be changed again and again, and a standby never checks

    def remove(self, item: Metadata) -> None:
        """Remove a Pod that has gone."""
        self._forget(item.uid)

    def _forget(self, uid: str) -> None:
        self.unrecorded.pop(uid, None)
        if self._pods.pop(uid, None) is not None:
            self.changed.set()

    def _share(self) -> None:
        """Keep what the current Pods have in common, and nothing of former ones."""
        self._shared = {workload: workload for _, workload in self._pods.values()}

    async def drifted(self, detector: DriftDetector, faults: Faults) -> list[Finding]:
        """Return the Pods with an outdated member; other tasks may run between batches of Pods.

        Args:
            detector: compares them.
            faults: receives exceptions of checking one, which counts as not drifted.
        """
        self._share()
        verdicts: dict[InjectedPod, Verdict | None] = {}
        found: list[Finding] = []
        for number, (uid, (name, workload)) in enumerate(list(self._pods.items()), 1):
            injected = workload.injected
            if injected not in verdicts:
                verdicts[injected] = None
                with faults.pass_over(Where.AUDIT, namespace=injected.namespace, name=name):
                    verdicts[injected] = detector.drifted(injected)
            if verdict := verdicts[injected]:
                found.append(
                    Finding(injected.namespace, name, uid, workload.owner, workload.selector, verdict)
                )
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found
