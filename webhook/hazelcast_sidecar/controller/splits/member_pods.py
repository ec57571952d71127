"""Where the members of groups are: addresses and states of Pods, which their metadata does not have.

Listing whole Pods for each look would cost the API server as much as all of them; a watch costs as much as
changes. Little is kept of each.
"""

import asyncio
from contextlib import aclosing

import msgspec

from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.reflector import Watcher
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import POD, Metadata
from hazelcast_sidecar.members.running_pod import RunningPod
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.runtime.log import LogLine


class MemberPods(Watcher):
    """Watcher of every Pod with the label of a group."""

    def __init__(self, api: Api, metrics: ControllerMetrics, log: LogLine) -> None:
        super().__init__(api, POD, metrics, log)
        self._pods: dict[str, RunningPod] = {}
        self.synced = asyncio.Event()
        """Set when all are known for the first time."""

    def get(self, uid: str) -> RunningPod | None:
        """Return a Pod as last seen; None if it has gone, or is not known yet."""
        return self._pods.get(uid)

    async def _list(self) -> None:
        found: dict[str, RunningPod] = {}
        version = ""
        async for page in self._api.pages(POD, RunningPod, labelSelector=GROUP):
            version = version or page.metadata.resource_version
            found.update((pod.metadata.uid, _reduced(pod)) for pod in page.items)
        self._pods, self._version = found, version
        self.synced.set()

    async def _watch(self) -> None:
        changes = self._api.watch(POD, RunningPod, self._version, labelSelector=GROUP)
        async with aclosing(changes):
            async for change, pod in changes:
                if change == "DELETED":
                    self._pods.pop(pod.metadata.uid, None)
                elif change != "BOOKMARK":
                    self._pods[pod.metadata.uid] = _reduced(pod)
                self._version = pod.metadata.resource_version
                self._waits.reset()


def _reduced(pod: RunningPod) -> RunningPod:
    """Keep what is needed of a Pod: its labels and annotations are most of it."""
    metadata = Metadata(name=pod.metadata.name, deletion_timestamp=pod.metadata.deletion_timestamp)
    return msgspec.structs.replace(pod, metadata=metadata)
