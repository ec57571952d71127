"""What asks a member at its Pod's address, and what it makes of anything that answers there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import pytest
import uvloop

from hazelcast_sidecar.controller.splits import member_client
from hazelcast_sidecar.controller.splits.member_client import MemberClient, NoAddressError
from hazelcast_sidecar.http_answer import HttpAnswer, HttpAnswerError
from hazelcast_sidecar.members.view import HEALTH_PATH, MAX_ANSWER, MEMBERS_PATH, MemberView
from hazelcast_sidecar.untrusted import UndecodableError

HERE = "127.0.0.1"
HEALTH = (
    b'{"nodeState":"ACTIVE","clusterState":"ACTIVE","clusterSafe":true,'
    b'"migrationQueueSize":0,"clusterSize":2}'
)
MEMBERS = (
    b'{"members":[{"address":"[10.0.0.1]:5701","localMember":true,"uuid":"a","memberVersion":"5.7.0"},'
    b'{"address":"[10.0.0.2]:5701","localMember":false,"uuid":"b","memberVersion":"5.7.0"}]}'
)
BODIES = {HEALTH_PATH: HEALTH, MEMBERS_PATH: MEMBERS}

Reply = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def answer(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def honest(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer(BODIES[path]))


class Port:
    """A port that replies in some way, and counts who comes."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.number = 0
        self.connections = 0
        self.paths: list[str] = []
        self._served: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, host: str = HERE) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, host, 0)
        self.number = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            for _ in range(10):  # until what was just accepted is served: else nobody closes it
                await asyncio.sleep(0)
            server.close()
            for task in self._served:
                task.cancel()
            await asyncio.gather(*self._served, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    head = await reader.readuntil(b"\r\n\r\n")
                    path = head.split()[1].decode()
                    self.paths.append(path)
                    await self._reply(writer, path)
                    await writer.drain()
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def asked(reply: Reply, *, lists: bool = True, host: str = HERE) -> MemberView:
    port = Port(reply)
    async with port.listening(host):
        return await MemberClient().view(host, port.number, lists=lists)


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both event loops: the controller has uvloop's, whose sockets are its own."""
    found: Run = request.param
    return found


def test_a_member_is_asked_twice_over_one_connection(run: Run) -> None:
    port = Port(honest)

    async def check() -> MemberView:
        async with port.listening():
            return await MemberClient().view(HERE, port.number, lists=True)

    found = run(check())
    assert (found.health.cluster_size, found.version, found.members) == (2, "5.7.0", None)
    assert found.cluster
    assert (port.connections, port.paths) == (1, [HEALTH_PATH, MEMBERS_PATH])


def test_a_port_that_tells_no_list_is_not_asked_for_it(run: Run) -> None:
    port = Port(honest)

    async def check() -> MemberView:
        async with port.listening():
            return await MemberClient().view(HERE, port.number, lists=False)

    assert run(check()).cluster == ""
    assert port.paths == [HEALTH_PATH]


def test_a_member_has_an_address_of_the_sixth_version(run: Run) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert run(asked(honest, host="::1")).cluster


async def pieces(writer: asyncio.StreamWriter, path: str) -> None:
    for byte in answer(BODIES[path]):
        writer.write(bytes([byte]))
        await writer.drain()


async def without_length(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + BODIES[path])
    writer.close()


@pytest.mark.parametrize("reply", [pieces, without_length])
def test_answers_come_in_pieces_or_end_with_the_connection(run: Run, reply: Reply) -> None:
    assert run(asked(reply)).health.cluster_size == 2


# --- members that do not give the list ---------------------------------------------------------------------


async def silent_list(writer: asyncio.StreamWriter, path: str) -> None:
    """As Hazelcast does where CLUSTER_READ is disabled."""
    if path == HEALTH_PATH:
        await honest(writer, path)


async def closed_list(writer: asyncio.StreamWriter, path: str) -> None:
    await silent_list(writer, path)
    if path != HEALTH_PATH:
        writer.close()


async def odd_list(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer(HEALTH if path == HEALTH_PATH else b"[]"))


async def refused_list(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer(HEALTH) if path == HEALTH_PATH else answer(MEMBERS, 403))


@pytest.mark.heavy
@pytest.mark.parametrize("reply", [silent_list, closed_list, odd_list, refused_list])
def test_without_the_list_there_is_a_size(run: Run, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_client, "_LIST_SECONDS", 0.3)
    found = run(asked(reply))
    assert (found.health.cluster_size, found.cluster, found.version) == (2, "", "")


# --- what is not a member ----------------------------------------------------------------------------------


async def closes(writer: asyncio.StreamWriter, _: str) -> None:
    writer.close()


async def half(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer(BODIES[path])[:-1])
    writer.close()


async def shell(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def endless_head(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def endless_body(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 10_000)
        await writer.drain()


async def long_body(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER + 1}\r\n\r\n".encode())


async def zipped(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(answer(b"\x1f\x8b\x08\x00" + b"\0" * 100, 200, "Content-Encoding: gzip"))


async def nested(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(answer(b"[" * 100_000))


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (closes, HttpAnswerError, "closed the connection before it had answered"),
        (half, HttpAnswerError, "closed the connection before it had answered"),
        (shell, HttpAnswerError, "does not speak HTTP"),
        (endless_head, HttpAnswerError, "does not speak HTTP"),
        (endless_body, HttpAnswerError, f"more than {MAX_ANSWER} bytes"),
        (long_body, HttpAnswerError, f"more than {MAX_ANSWER} bytes"),
        (zipped, UndecodableError, "malformed"),
        (nested, UndecodableError, "got `array`"),
    ],
)
def test_what_is_not_a_member_is_an_error(
    run: Run, reply: Reply, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        run(asked(reply))


def test_a_closed_port_is_an_error(run: Run) -> None:
    with socket.create_server((HERE, 0)) as reserved:
        number = reserved.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        run(MemberClient().view(HERE, number, lists=True))


def test_no_redirect_is_followed(run: Run) -> None:
    other = Port(honest)

    async def redirects(writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(answer(b"", 302, f"Location: http://{HERE}:{other.number}{path}"))

    async def check() -> None:
        async with other.listening():
            with pytest.raises(HttpAnswerError, match="HTTP 302"):
                await asked(redirects)

    run(check())
    assert other.connections == 0


async def says_nothing(_: asyncio.StreamWriter, __: str) -> None:
    pass


async def drips(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.heavy
@pytest.mark.parametrize("reply", [says_nothing, drips])
def test_what_is_slow_is_given_up(run: Run, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_client, "_SECONDS", 0.3)
    with pytest.raises(TimeoutError):
        run(asked(reply))


@pytest.mark.heavy
def test_single_bytes_cost_few_reads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    feed = HttpAnswer.feed

    def counted(self: HttpAnswer, data: bytes) -> bytes | None:
        nonlocal reads
        reads += 1
        return feed(self, data)

    async def floods(writer: asyncio.StreamWriter, _: str) -> None:
        stream = writer.get_extra_info("socket")
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            for _number in range(100):
                writer.write(b" ")
            await asyncio.sleep(0)

    monkeypatch.setattr(HttpAnswer, "feed", counted)
    monkeypatch.setattr(member_client, "_SECONDS", 0.5)
    with pytest.raises((TimeoutError, HttpAnswerError)):
        run(asked(floods))
    assert 0 < reads <= 0.5 / member_client._PAUSE_SECONDS  # noqa: SLF001


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost", "example.com", "127.1", "010.0.0.1", "10.0.0.1:80", "0.0.0.0", "169.254.169.254",  # noqa: S104
        "224.0.0.1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:169.254.169.254", "fd00::1%1",
    ],
)  # fmt: skip
def test_what_is_not_an_address_of_a_pod_is_not_connected_to(run: Run, address: str) -> None:
    client = MemberClient()
    with pytest.raises(NoAddressError):
        run(client.view(address, 5701, lists=True))
    assert client.asked == 0


def test_no_more_than_so_many_are_asked_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_client, "_AT_ONCE", 3)

    now, most = 0, 0

    async def slow(writer: asyncio.StreamWriter, path: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        await honest(writer, path)

    port = Port(slow)

    async def check() -> MemberClient:
        client = MemberClient()
        async with port.listening():
            await asyncio.gather(*(client.view(HERE, port.number, lists=False) for _ in range(12)))
        return client

    assert run(check()).asked == 12
    assert most == 3
