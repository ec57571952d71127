"""A relay between a controller and the API server that holds one answer back, while all else passes."""

import asyncio
import contextlib
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.accounts import Account
from tests.harness.control_plane import ControlPlane
from tests.harness.ports import free_ports

_CHUNK = 65536


class Answers:
    """What the API server answers, on its way to the controller, which sends its requests here without TLS.

    Args:
        cluster: whose API server it is.
    """

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self._held = b""
        """How the request begins whose answer is held; empty: none."""
        self._ends: list[StreamWriter] = []
        """Both ends of each connection."""
        self._passed: list[bytearray] = []
        """What has come from the API server, by connection."""
        self.has_come = threading.Event()
        """Set when the answer that is held is here."""
        self._may_pass = asyncio.Event()
        self._end = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        ready = threading.Event()
        work = self._run(port, ready)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(work,), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def of(self, account: Account, folder: Path) -> Account:
        """The same account, which reaches the API server over this relay."""
        kubeconfig = folder / "answers.kubeconfig"
        kubeconfig.write_text(account.kubeconfig.read_text().replace(self._cluster.url, self.url))
        return account._replace(kubeconfig=kubeconfig)

    def hold(self, request: str) -> None:
        """Hold the answer to the next request that begins so, such as with its method and path."""
        self._held = request.encode()

    def have_passed(self, text: str) -> bool:
        """Whether some text has been passed on to the controller."""
        return any(text.encode() in each for each in list(self._passed))

    def release(self) -> None:
        """Pass on what was held."""
        self._loop.call_soon_threadsafe(self._may_pass.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _run(self, port: int, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._lead, "127.0.0.1", port)
        ready.set()
        await self._end.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*(end.wait_closed() for end in self._ends), return_exceptions=True)

    async def _lead(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._ends.append(writer)
        target = urlsplit(self._cluster.url)
        context = ssl.create_default_context(cafile=self._cluster.ca_file)
        far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port, ssl=context)
        self._ends.append(far_writer)
        held = asyncio.Event()
        ways = [
            asyncio.create_task(self._ask(reader, far_writer, held)),
            asyncio.create_task(self._answer(far_reader, writer, held)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, far_writer):
                end.close()

    async def _ask(self, near: StreamReader, far: StreamWriter, held: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while block := await near.read(_CHUNK):
                if self._held and block.startswith(self._held):
                    self._held = b""
                    held.set()
                far.write(block)
                await far.drain()

    async def _answer(self, far: StreamReader, near: StreamWriter, held: asyncio.Event) -> None:
        passed = bytearray()
        self._passed.append(passed)
        with contextlib.suppress(OSError):
            while block := await far.read(_CHUNK):
                if held.is_set():
                    self.has_come.set()
                    await self._may_pass.wait()
                    held.clear()
                near.write(block)
                await near.drain()
                passed += block
