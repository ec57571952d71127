"""HTTP requests over a port forward: with the user's rights, and past any NetworkPolicy.

A port forward ends at the Pod's own loopback address.
Source: Kubernetes documentation, "Use Port Forwarding to Access Applications in a Cluster"; the frames of a
port forward over a WebSocket are those of k8s.io/kubelet `pkg/cri/streaming/portforward/websocket.go`.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio.stream import WsApiClient

from hazelcast_sidecar.kube.objects import POD

_DATA, _ERROR = 0, 1
"""The channels of the first port."""

_PROTOCOL = "v4.channel.k8s.io"
_PORT_BYTES = 2
_MAX_HEAD = 8 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


class PortForwardError(Exception):
    """A port did not answer as asked; says why in half a sentence."""


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
            PortForwardError: the port did not answer as asked.
            aiohttp.ClientError, OSError, TimeoutError: the API server refused, or no answer came.
        """
        async with asyncio.timeout(self._seconds), await self._opened(namespace, pod, port) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            await connection.send_bytes(bytes((_DATA,)) + request.encode())
            return self._body(await self._answer(connection))

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
        """Collect what comes on the data channel until the answer is complete or the port is closed."""
        found = bytearray()
        greeted: set[int] = set()
        async for message in connection:
            if message.type != aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in greeted:  # the first frame of each channel repeats the port
                greeted.add(channel)
                data = data[_PORT_BYTES:]
            if channel == _ERROR and data:
                raise PortForwardError(data[:200].decode(errors="replace"))
            if channel == _DATA:
                found += data
            if len(found) > self._most + _MAX_HEAD:
                raise PortForwardError(f"the answer has more than {self._most} bytes")
            if _is_complete(found):
                break
        return bytes(found)

    @staticmethod
    def _body(answer: bytes) -> bytes:
        head, _, body = answer.partition(b"\r\n\r\n")
        status = _STATUS.match(head)
        if status is None:
            raise PortForwardError("what listens there does not speak HTTP")
        if int(status[1]) != HTTPStatus.OK:
            raise PortForwardError(f"it answered with HTTP {int(status[1])}")
        return body


def _is_complete(answer: bytearray) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    return bool(end) and length is not None and len(body) >= int(length[1])
