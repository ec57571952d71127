"""Read the Pods of groups, and ask their members."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
from kubernetes.aio.stream import WsApiClient

from hazelcast_sidecar.errors import in_short
from hazelcast_sidecar.group_objects.claims import claimed_status
from hazelcast_sidecar.http_answer import HttpAnswerError
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words
from hazelcast_sidecar.kube.objects import POD, Metadata
from hazelcast_sidecar.kube.port_forward import PortForward
from hazelcast_sidecar.members.assessment import Assessment, GroupPod, assess
from hazelcast_sidecar.members.running_pod import RunningPod
from hazelcast_sidecar.members.view import (
    HEALTH_PATH,
    MAX_ANSWER,
    MEMBERS_PATH,
    Health,
    MemberView,
    view_of,
)
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP
from hazelcast_sidecar.untrusted import UNDECODABLE

_ANSWER_SECONDS = 5.0
_AT_ONCE = 16
"""Members that are asked at the same time."""

_LOOKS, _PAUSE_SECONDS = 3, 1.5
"""How often members that disagree are asked again before that is reported: lists differ for a moment whenever
a member comes or goes."""


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
            if not any(each.split for each in found):
                break
            if look < _LOOKS - 1:
                await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def _pods(
        self, namespace: str, group: str
    ) -> Mapping[tuple[str, str], list[tuple[RunningPod, Status]]]:
        found: defaultdict[tuple[str, str], list[tuple[RunningPod, Status]]] = defaultdict(list)
        selector = f"{GROUP}={group}" if group else GROUP
        async for page in self._api.pages(POD, RunningPod, namespace, labelSelector=selector):
            for pod in page.items:
                recorded = claimed_status(pod.metadata)
                if recorded is not None and not pod.has_ended:
                    found[pod.metadata.namespace, recorded.group].append((pod, recorded))
        return found

    async def _assessed(
        self, namespace: str, group: str, pods: Sequence[tuple[RunningPod, Status]]
    ) -> Assessment:
        return assess(namespace, group, await asyncio.gather(*(self._asked(*pod) for pod in pods)))

    async def _asked(self, pod: RunningPod, recorded: Status) -> GroupPod:
        known = pod.as_asked(recorded)
        if not pod.has_started:
            return known
        try:
            async with self._at_once:
                view = await self._view(pod.metadata, recorded)
        except (*CONNECTION_ERRORS, *UNDECODABLE, ApiError, HttpAnswerError) as error:
            return msgspec.structs.replace(known, error=_reason(error))
        return msgspec.structs.replace(known, view=view)

    async def _view(self, pod: Metadata, recorded: Status) -> MemberView:
        port = recorded.ports.probes
        if recorded.pod_clients:  # this port listens on the Pod's own address alone
            path = f"{POD.collection(pod.namespace)}/{pod.name}:{port}/proxy{HEALTH_PATH}"
            return MemberView(msgspec.convert(await self._api.document(path), Health))
        health = await self._forward.get(pod.namespace, pod.name, port, HEALTH_PATH)
        listed = None
        # A member whose configuration is the user's own may leave this request without an answer.
        with suppress(HttpAnswerError, aiohttp.ClientError, TimeoutError):
            listed = await self._forward.get(pod.namespace, pod.name, port, MEMBERS_PATH)
        return view_of(health, listed)


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
