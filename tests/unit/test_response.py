"""The answer to a review, which is sent at once."""

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from hazelcast_sidecar.server.response import ReadyResponse

MANY = 64 * 1024


class Client:
    """Stands in for the request of a client that leaves some bytes unread."""

    def __init__(self, unread: int) -> None:
        self.sent: list[bytes] = []
        self.waited = 0
        self.transport: Any = SimpleNamespace(write=self.sent.append, get_write_buffer_size=lambda: unread)
        self.writer = SimpleNamespace(drain=self._drain)

    async def _drain(self) -> None:
        self.waited += 1


@pytest.mark.parametrize(("unread", "waits"), [(0, 0), (MANY, 0), (MANY + 1, 1)])
async def test_an_answer_is_sent_at_once_and_waits_for_a_client_that_leaves_much_unread(
    unread: int, waits: int
) -> None:
    client = Client(unread)
    await ReadyResponse(b'{"a": 1}').prepare(cast("web.BaseRequest", client))
    (sent,) = client.sent
    assert re.fullmatch(
        rb"HTTP/1\.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
        rb'Date: \w{3}, [^\r]+ GMT\r\n\r\n\{"a": 1\}',
        sent,
    )
    assert client.waited == waits


async def test_a_client_that_is_gone_gets_nothing() -> None:
    client = Client(0)
    client.transport = None
    with pytest.raises(ConnectionResetError):
        await ReadyResponse(b"{}").prepare(cast("web.BaseRequest", client))
