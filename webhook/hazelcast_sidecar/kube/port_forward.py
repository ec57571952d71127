"""HTTP requests over a port forward: with the user's rights, and past any NetworkPolicy.

A port forward ends at the Pod's own loopback address.
Source: Kubernetes documentation, "Use Port Forwarding to Access Applications in a Cluster"; the frames of a
port forward over a WebSocket are those of k8s.io/kubelet `pkg/cri/streaming/portforward/websocket.go`.
"""

import asyncio
from typing import Any

import aiohttp
from kubernetes.aio.stream import WsApiClient

from hazelcast_sidecar.http_answer import HttpAnswer, HttpAnswerError, get_request
from hazelcast_sidecar.kube.objects import POD

_DATA, _ERROR = 0, 1
"""The channels of the first port."""

_PROTOCOL = "v4.channel.k8s.io"
_PORT_BYTES = 2


class PortForward:
    """GET requests of ports of Pods.

    Args:
        client: opens port forwards.
        seconds: how long an answer may take.
        most: bytes that an answer may have.
    """

    def __init__(self, client: WsApiClient, seconds: float, most: int) -> None:
        self._client, self._seconds, self._most = client, seconds, most

    async def get(self, namespace: str, pod: str, port: int, path: str) -> bytes:
        """GET a path of a port on the Pod's loopback address; the body.

        Raises:
            HttpAnswerError: the port did not answer as asked.
            aiohttp.ClientError, OSError, TimeoutError: the API server refused, or no answer came.
        """
        async with asyncio.timeout(self._seconds), await self._opened(namespace, pod, port) as connection:
            await connection.send_bytes(bytes((_DATA,)) + get_request(path))
            return await self._answer(connection)

    async def _opened(self, namespace: str, pod: str, port: int) -> Any:  # noqa: ANN401 - aiohttp's context
        method, url, headers, body, _ = await self._client.param_serialize(
            "GET",
            f"{POD.collection(namespace)}/{pod}/portforward",
            query_params=[("ports", str(port))],
            header_params={"sec-websocket-protocol": _PROTOCOL},
            auth_settings=["BearerToken"],
        )
        answered = await self._client.call_api(method, url, headers, body, _preload_content=False)
        return answered.response

    async def _answer(self, connection: aiohttp.ClientWebSocketResponse) -> bytes:
        """Read the data channel until the answer is complete or the port is closed."""
        answer = HttpAnswer(self._most)
        greeted: set[int] = set()
        async for message in connection:
            if message.type != aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in greeted:  # the first frame of each channel repeats the port
                greeted.add(channel)
                data = data[_PORT_BYTES:]
            if channel == _ERROR and data:
                raise HttpAnswerError(data[:200].decode(errors="replace"))
            if channel == _DATA and (body := answer.feed(data)) is not None:
                return body
        return answer.end()
