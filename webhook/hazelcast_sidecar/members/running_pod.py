"""A Pod of a group as far as its member is asked: its state and its address, as the API server has them."""

import msgspec

from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.members.assessment import GroupPod
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import CONTAINER


class _ContainerStatus(msgspec.Struct, gc=False):
    name: str
    ready: bool = False


class _PodStatus(msgspec.Struct, gc=False, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    container_statuses: tuple[_ContainerStatus, ...] = ()
    init_container_statuses: tuple[_ContainerStatus, ...] = ()


class RunningPod(msgspec.Struct, gc=False):
    """A Pod as far as it is read."""

    metadata: Metadata
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    @property
    def has_ended(self) -> bool:
        """Tell whether its containers have ended for good; its address may be another Pod's by now."""
        return self.status.phase not in {"Running", "Pending"}

    @property
    def has_started(self) -> bool:
        """Tell whether its containers run, or did."""
        return self.status.phase == "Running"

    @property
    def member_is_ready(self) -> bool:
        """Tell whether its member is ready, by the kubelet's probes."""
        statuses = (*self.status.container_statuses, *self.status.init_container_statuses)
        return any(each.name == CONTAINER and each.ready for each in statuses)

    def as_asked(self, recorded: Status) -> GroupPod:
        """Return it as `assess` takes it, before its member has answered.

        Args:
            recorded: its status annotation.
        """
        return GroupPod(
            name=self.metadata.name,
            ready=self.member_is_ready,
            terminating=self.metadata.deletion_timestamp is not None,
            image=recorded.image,
            fingerprint=recorded.fingerprint,
            error="" if self.has_started else "its containers have not started",
        )
