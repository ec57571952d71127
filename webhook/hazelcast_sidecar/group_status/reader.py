"""Read the Pods of groups, and ask their members."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from kubernetes.aio.stream import WsApiClient

from hazelcast_sidecar.errors import in_short
from hazelcast_sidecar.group_objects.claims import claimed_status
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import POD, Metadata
from hazelcast_sidecar.kube.port_forward import PortForward, PortForwardError
from hazelcast_sidecar.members.assessment import Assessment, GroupPod, assess
from hazelcast_sidecar.members.view import (
    HEALTH_PATH,
    MAX_ANSWER,
    MEMBERS_PATH,
    Health,
    MemberView,
    decode_health,
    decode_members,
)
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import CONTAINER, GROUP
from hazelcast_sidecar.untrusted import UNDECODABLE

_ANSWER_SECONDS = 5.0
_AT_ONCE = 16
"""Members that are asked at the same time."""

_LOOKS, _PAUSE_SECONDS = 3, 1.5
"""How often members that disagree are asked again before that is reported: lists differ for a moment whenever
a member comes or goes."""


class _ContainerStatus(msgspec.Struct, rename="camel"):
    name: str
    ready: bool = False


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    container_statuses: tuple[_ContainerStatus, ...] = ()
    init_container_statuses: tuple[_ContainerStatus, ...] = ()

    @property
    def member_is_ready(self) -> bool:
        return any(
            each.name == CONTAINER and each.ready
            for each in (*self.container_statuses, *self.init_container_statuses)
        )


class _RunningPod(msgspec.Struct):
    """A Pod as far as it is read."""

    metadata: Metadata
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class GroupReader:
    """Reads the groups of a cluster.

    Args:
        api: lists Pods, and reaches ports on the Pods' own addresses.
        forwards: opens port forwards.
    """

    def __init__(self, api: Api, forwards: WsApiClient) -> None:
        self._api = api
        self._forward = PortForward(forwards, _ANSWER_SECONDS, MAX_ANSWER)
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def groups(self, namespace: str, group: str = "") -> list[Assessment]:
        """Assess each group of a namespace, or of all where that is empty; or only the one that is named.

        Raises:
            ApiError: the Pods may not be listed.
        """
        found: list[Assessment] = []
        for look in range(_LOOKS):
            pods = await self._pods(namespace, group)
            found = await asyncio.gather(
                *(self._assessed(*key, members) for key, members in sorted(pods.items()))
            )
            if not any(each.is_split for each in found):
                break
            if look < _LOOKS - 1:
                await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def _pods(
        self, namespace: str, group: str
    ) -> Mapping[tuple[str, str], list[tuple[_RunningPod, Status]]]:
        found: defaultdict[tuple[str, str], list[tuple[_RunningPod, Status]]] = defaultdict(list)
        selector = f"{GROUP}={group}" if group else GROUP
        async for page in self._api.pages(POD, _RunningPod, namespace, labelSelector=selector):
            for pod in page.items:
                recorded = claimed_status(pod.metadata)
                if recorded is not None and pod.status.phase in ("Running", "Pending"):
                    found[pod.metadata.namespace, recorded.group].append((pod, recorded))
        return found

    async def _assessed(
        self, namespace: str, group: str, pods: Sequence[tuple[_RunningPod, Status]]
    ) -> Assessment:
        return assess(namespace, group, await asyncio.gather(*(self._asked(*pod) for pod in pods)))

    async def _asked(self, pod: _RunningPod, recorded: Status) -> GroupPod:
        metadata = pod.metadata
        known = GroupPod(
            name=metadata.name,
            ready=pod.status.member_is_ready,
            terminating=metadata.deletion_timestamp is not None,
            image=recorded.image,
            fingerprint=recorded.fingerprint,
        )
        if pod.status.phase != "Running":
            return msgspec.structs.replace(known, error="its containers have not started")
        try:
            async with self._at_once:
                view = await self._view(metadata, recorded)
        except (*CONNECTION_ERRORS, *UNDECODABLE, ApiError, PortForwardError) as error:
            return msgspec.structs.replace(known, error=_reason(error))
        return msgspec.structs.replace(known, view=view)

    async def _view(self, pod: Metadata, recorded: Status) -> MemberView:
        port = recorded.ports.probes
        if recorded.pod_clients:  # this port listens on the Pod's own address alone
            path = f"{POD.collection(pod.namespace)}/{pod.name}:{port}/proxy{HEALTH_PATH}"
            return MemberView(msgspec.convert(await self._api.document(path), Health))
        answer = await self._forward.get(pod.namespace, pod.name, port, HEALTH_PATH)
        health = decode_health(answer.decode(errors="replace"))
        try:
            answer = await self._forward.get(pod.namespace, pod.name, port, MEMBERS_PATH)
            members = decode_members(answer.decode(errors="replace")).members
        except (PortForwardError, aiohttp.ClientError, *UNDECODABLE):  # a configuration of the user's own
            return MemberView(health)
        return MemberView(health, members)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"the API server refused a port forward with HTTP {error.status}"
    if isinstance(error, TimeoutError):
        return f"no answer within {_ANSWER_SECONDS:g} s"
    return in_short(error) if isinstance(error, UNDECODABLE) else in_words(error)


def as_json(assessment: Assessment) -> dict[str, Any]:
    """Give an assessment to programs."""
    document: dict[str, Any] = msgspec.to_builtins(assessment)
    return {"state": str(assessment.severity), **document}
