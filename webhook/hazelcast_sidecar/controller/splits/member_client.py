"""Questions to members, at the addresses of their Pods, as the kubelet asks its probes: that takes no right.

A tenant decides what listens there. So what is asked is fixed, and goes to the Pod's own address alone: to
an IP, which no DNS resolves, past any proxy, and without following a redirect. What comes back is bounded in
bytes and in time, and in the work that it makes, and is only compared.
"""

import asyncio
import ipaddress
import socket
from contextlib import suppress

from hazelcast_sidecar.http_answer import HttpAnswer, HttpAnswerError, get_request
from hazelcast_sidecar.members.view import HEALTH_PATH, MAX_ANSWER, MEMBERS_PATH, MemberView, view_of

_SECONDS = 5.0
"""Seconds that a member has for all of its answers."""

_LIST_SECONDS = 1.0
"""Seconds of these for the list of members: a member that does not give it leaves the request unanswered."""

_PIECE_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.01
"""Seconds between two reads of one answer: a sender of single bytes costs no more than others."""

_AT_ONCE = 64


class NoAddressError(Exception):
    """A Pod whose address is not to be connected to; says why in half a sentence."""


class MemberClient:
    """Client of members, with a bound on how many it asks at the same time."""

    def __init__(self) -> None:
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self.asked = 0
        """How many members were asked."""

    async def view(self, address: str, port: int, *, lists: bool) -> MemberView:
        """Ask a member for its view of its cluster.

        Args:
            address: the Pod's own, as the API server has it.
            port: of the kubelet's probes.
            lists: whether that port tells which members there are, or only how many.

        Raises:
            NoAddressError: the address cannot be a Pod's.
            HttpAnswerError, UndecodableError: the answer is not a member's.
            OSError: nothing answers there, or not in time (TimeoutError).
        """
        family, host = _endpoint(address)
        async with self._at_once:
            self.asked += 1
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)  # noqa: FBT003 - the socket's own
                async with asyncio.timeout(_SECONDS):
                    await asyncio.get_running_loop().sock_connect(connection, (host, port))
                    return await _ask(connection, lists=lists)


async def _ask(connection: socket.socket, *, lists: bool) -> MemberView:
    health = await _get(connection, HEALTH_PATH)
    listed = None
    if lists:
        with suppress(HttpAnswerError, TimeoutError):
            async with asyncio.timeout(_LIST_SECONDS):
                listed = await _get(connection, MEMBERS_PATH)
    return view_of(health, listed).without_list()


async def _get(connection: socket.socket, path: str) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, get_request(path))
    answer = HttpAnswer(MAX_ANSWER)
    while piece := await loop.sock_recv(connection, _PIECE_BYTES):
        body = answer.feed(piece)
        if body is not None:
            return body
        await asyncio.sleep(_PAUSE_SECONDS)
    return answer.end()


def _endpoint(address: str) -> tuple[socket.AddressFamily, str]:
    """Return the family and the text of an address that a Pod may have.

    A Pod on its node's network has the node's, so an address alone does not show it: what Kubernetes takes
    for no endpoint is refused. Loopback is not: behind it there is only our own port of metrics and probes.
    Source: Kubernetes, `ValidateEndpointIP` in pkg/apis/core/validation.
    """
    if not address:
        raise NoAddressError("it has no address yet")
    try:
        found = ipaddress.ip_address(address)
    except ValueError as error:
        raise NoAddressError("its address is not an IP") from error
    family = socket.AF_INET
    if isinstance(found, ipaddress.IPv6Address):
        family = socket.AF_INET6
        if found.ipv4_mapped or found.scope_id:
            raise NoAddressError(f"{found} is not an address of a Pod")
    if found.is_unspecified or found.is_link_local or found.is_multicast:
        raise NoAddressError(f"{found} is not an address of a Pod")
    return family, str(found)
