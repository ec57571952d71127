"""The watched Pods that have an outdated member."""

import asyncio
from collections.abc import Iterable

from hazelcast_sidecar.controller.audit.findings import Finding
from hazelcast_sidecar.controller.shared.controller_metrics import Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPod
from hazelcast_sidecar.injection.drift import DriftDetector, InjectedPod, Verdict

_AT_ONCE = 200


async def drifted_pods(pods: Iterable[WatchedPod], detector: DriftDetector, faults: Faults) -> list[Finding]:
    """Return the Pods with an outdated member; other tasks may run between batches of Pods.

    Args:
        pods: as they are now.
        detector: compares them, those of a workload once.
        faults: receives exceptions of checking one, which counts as not drifted.
    """
    verdicts: dict[InjectedPod, Verdict | None] = {}
    found: list[Finding] = []
    for number, pod in enumerate(list(pods), 1):
        common, injected = pod.common, pod.common.injected
        if injected not in verdicts:
            verdicts[injected] = None
            with faults.pass_over(Where.AUDIT, namespace=injected.namespace, name=pod.name):
                verdicts[injected] = detector.drifted(injected)
        if verdict := verdicts[injected]:
            found.append(
                Finding(injected.namespace, pod.name, pod.uid, common.owner, common.selector, verdict)
            )
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
