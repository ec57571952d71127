"""A listening port in the process of the test: whom it accepts, whom it gives up, and how it closes."""

import asyncio
import errno
import gc
import os
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.runtime import listening as listening_module
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.connections import Bounds, Closed, Connection, Connections
from hazelcast_sidecar.runtime.listening import Port, _listening_socket, listen
from hazelcast_sidecar.server.tls import ServedCertificate
from tests.server.conftest import TlsFiles
from tests.server.test_serve import PATIENCE_SECONDS

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.01)


@dataclass
class Served:
    """An open port whose answers wait until they may go."""

    port: Port
    tls: TlsFiles
    closed: Counter[Closed]
    streams: AsyncExitStack
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    is_open: bool = True

    def __post_init__(self) -> None:
        self.address = self.port.address

    async def close(self) -> None:
        """Close the port, once."""
        if self.is_open:
            self.is_open = False
            await self.port.cleanup()

    async def connect(self, *, tls: bool = False) -> Stream:
        """A connection as a client has it."""
        where = self.address
        secure: dict[str, Any] = {"ssl": self.tls.client} if tls else {}
        reader, writer = await asyncio.open_connection(where.host, where.port, **secure)
        self.streams.callback(writer.close)
        return reader, writer

    async def silent(self) -> Stream:
        """A connection that was accepted, and has sent nothing."""
        before = len(self.port.connections)
        stream = await self.connect()
        await until(lambda: len(self.port.connections) > before)
        return stream

    def answer(self) -> web.Response:
        self.asked += 1
        return web.Response(text="answered")


Open = Callable[..., Any]


@pytest.fixture
async def opened(tls: TlsFiles) -> AsyncIterator[Open]:
    """Opens ports, with TLS or without."""
    async with AsyncExitStack() as streams:

        async def open_port(*, secure: bool = True, host: str = "127.0.0.1", **bounds: Any) -> Served:
            closed = Counter[Closed]()
            certificate = ServedCertificate(tls.certificate, tls.key)

            async def answer(_: web.BaseRequest) -> web.StreamResponse:
                response = served.answer()
                await served.may_answer.wait()
                return response

            connections = Connections(Bounds(**bounds), lambda reason: closed.update([reason]))
            context = (lambda: certificate.context) if secure else None
            port = await listen("--listen", web.Server(answer), Address(host, 0), connections, context)
            served = Served(port, tls, closed, streams)
            streams.push_async_callback(served.close)
            return served

        yield open_port


async def is_over(stream: Stream) -> bool:
    """Whether the server closes a connection, with or without a word of TLS."""
    reader, _ = stream
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            return await reader.read() is not None
        except ConnectionError:
            return True


@pytest.mark.parametrize("secure", [True, False])
async def test_a_port_that_closes_finishes_its_answers_and_takes_no_more(
    opened: Open, *, secure: bool
) -> None:
    served = await opened(secure=secure)
    reader, writer = await served.connect(tls=secure)
    writer.write(REQUEST)
    await until(lambda: served.asked)
    idle = await served.connect(tls=secure)
    cleanup = asyncio.create_task(served.close())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await served.connect()
    served.may_answer.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await cleanup
    assert await is_over(idle)
    await until(lambda: len(served.port.connections) == 0)


async def test_a_port_that_closes_gives_up_handshakes_and_leaves_no_task(opened: Open) -> None:
    before = asyncio.all_tasks()
    served = await opened(handshake_seconds=3600)
    silent, halfway = await served.silent(), await served.silent()
    halfway[1].write(b"\x16")  # the first byte of a handshake
    await until(lambda: len(asyncio.all_tasks() - before) == 2)
    await served.close()
    assert await is_over(silent)
    assert await is_over(halfway)
    await until(lambda: asyncio.all_tasks() == before)
    assert len(served.port.connections) == 0


@pytest.mark.parametrize("begins", [True, False])
async def test_a_newcomer_takes_the_place_of_one_that_has_not_finished_its_handshake(
    opened: Open, *, begins: bool
) -> None:
    served = await opened(connections=1)
    served.may_answer.set()
    first = await served.silent()
    before = asyncio.all_tasks()
    if begins:
        first[1].write(b"\x16")
        await until(lambda: asyncio.all_tasks() != before)
    reader, writer = await served.connect(tls=True)
    assert await is_over(first)
    writer.write(REQUEST)
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    assert served.closed == {Closed.EVICTED: 1}


async def test_one_that_falls_as_it_is_accepted_is_closed(opened: Open) -> None:
    """Both come in one turn of the loop: the first has had no step when the second takes its place."""
    served = await opened(secure=False, connections=1)
    served.may_answer.set()
    where = served.address
    both = [socket.create_connection((where.host, where.port)) for _ in range(2)]
    for each in both:
        each.settimeout(0)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await loop.sock_recv(both[0], 1) == b""
        await loop.sock_sendall(both[1], REQUEST)
        assert (await loop.sock_recv(both[1], 15)) == b"HTTP/1.1 200 OK"
    for each in both:
        each.close()


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b""])
async def test_what_is_no_handshake_is_closed_and_counted(opened: Open, sent: bytes) -> None:
    served = await opened()
    reader, writer = await served.silent()
    if sent:
        writer.write(sent)
        assert await is_over((reader, writer))
    writer.close()
    await until(lambda: len(served.port.connections) == 0)
    assert served.closed == {Closed.HANDSHAKE: 1}


async def test_a_handshake_has_its_time(opened: Open) -> None:
    served = await opened(handshake_seconds=0.1)
    stream = await served.silent()
    stream[1].write(b"\x16")
    assert await is_over(stream)
    assert served.closed == {Closed.HANDSHAKE: 1}


async def test_a_wake_up_without_a_byte_is_no_end(opened: Open) -> None:
    """A system may report data that it then does not have."""
    served = await opened()
    await served.silent()
    (connection,) = served.port._silent  # noqa: SLF001 - as the loop calls it
    accepted, _ = connection.hang_up.args
    served.port._hear(accepted, connection)  # noqa: SLF001
    assert (len(served.port.connections), connection.reason) == (1, None)


async def test_nothing_is_kept_of_connections_that_are_gone(opened: Open) -> None:
    served = await opened()
    served.may_answer.set()
    for sent in (b"", b"no TLS at all", REQUEST):
        secure = sent is REQUEST
        reader, writer = await (served.connect(tls=True) if secure else served.silent())
        writer.write(sent)
        if secure:
            await reader.readline()
        writer.close()
        await until(lambda: len(served.port.connections) == 0)

    def is_kept(found: object) -> bool:
        return isinstance(found, Connection) or (isinstance(found, asyncio.Task) and found.done())

    def is_gone() -> bool:
        gc.collect()
        return not any(map(is_kept, gc.get_objects()))

    await until(is_gone)


async def test_many_that_arrive_at_once_are_all_accepted(opened: Open) -> None:
    served = await opened(secure=False)
    served.may_answer.set()
    streams = await asyncio.gather(*(served.connect() for _ in range(150)))
    for _, writer in streams:
        writer.write(REQUEST)
    async with asyncio.timeout(PATIENCE_SECONDS):
        lines = await asyncio.gather(*(reader.readline() for reader, _ in streams))
    assert set(lines) == {b"HTTP/1.1 200 OK\r\n"}


class FullTable(socket.socket):
    """A listening socket of a process that has no file descriptor left for a while."""

    is_full = True
    refused = 0

    def accept(self) -> tuple[socket.socket, Any]:
        if self.is_full:
            self.refused += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.fixture
def full_table(monkeypatch: pytest.MonkeyPatch) -> FullTable:
    """What the next port listens with."""
    listening = FullTable()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.settimeout(0)
    monkeypatch.setattr(listening_module, "_listening_socket", lambda _: listening)
    return listening


async def test_a_port_accepts_again_when_there_are_file_descriptors(
    opened: Open, full_table: FullTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_module, "_RETRY_SECONDS", 0.01)
    served = await opened(secure=False)
    served.may_answer.set()
    reader, writer = await served.connect()
    writer.write(REQUEST)
    await until(lambda: full_table.refused > 3)
    full_table.is_full = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


async def test_a_port_without_file_descriptors_leaves_the_loop_to_others(
    opened: Open, full_table: FullTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_module, "_RETRY_SECONDS", 3600)
    served = await opened(secure=False)
    await served.connect()
    await until(lambda: full_table.refused)
    for _ in range(100):
        await asyncio.sleep(0)
    assert full_table.refused == 1


async def test_a_port_that_closes_while_it_waits_for_file_descriptors_stays_closed(
    opened: Open, full_table: FullTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    monkeypatch.setattr(listening_module, "_RETRY_SECONDS", 0.01)
    served = await opened(secure=False)
    await served.connect()
    await until(lambda: full_table.refused)
    await served.close()
    await asyncio.sleep(0.05)
    assert faults == []


@pytest.mark.parametrize(("host", "clients"), [("::1", ["::1"]), ("", ["::1", "127.0.0.1"])])
async def test_a_port_listens_at_an_ipv6_address_or_at_all(
    opened: Open, host: str, clients: list[str]
) -> None:
    served = await opened(secure=False, host=host)
    served.may_answer.set()
    port = served.address.port
    assert str(served.address) == f"[{host or '::'}]:{port}"
    for client in clients:
        reader, writer = await asyncio.open_connection(client, port)
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


def test_accepting_never_waits() -> None:
    """A listening socket is asked for more until there is none: one that waited would stop everything."""
    with _listening_socket(Address("127.0.0.1", 0)) as listening:
        assert listening.gettimeout() == 0
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_an_address_that_is_not_ours_is_one_sentence(opened: Open) -> None:
    with pytest.raises(InvalidSettingsError, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        await opened(host="192.0.2.1")


async def test_a_handshake_costs_no_tickets(opened: Open) -> None:
    """The API server keeps its connections."""
    served = await opened()
    served.may_answer.set()
    reader, writer = await served.connect(tls=True)
    writer.write(REQUEST)
    await reader.readline()  # tickets would have come before it
    secure: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert secure.session is None or not secure.session.has_ticket
