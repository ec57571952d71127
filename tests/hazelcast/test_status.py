"""`hazelcast-sidecar status` asks real members, over port forwards of a relay in an API server's place."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import WSMsgType, web

from hazelcast_sidecar.model.status import Status, encode
from hazelcast_sidecar.names import GROUP, STATUS
from hazelcast_sidecar.version import __version__
from tests.harness.ports import own_network
from tests.hazelcast.conftest import Eventually, Launcher

pytestmark = pytest.mark.hazelcast

NETWORK = own_network()
FIRST, SECOND, APART = (f"{NETWORK}.{number}" for number in range(31, 34))
PORT = 5721
DATA, ERROR = b"\0", b"\1"
RECORD = Status(__version__, "shop", "dev", "hazelcast/hazelcast:5.7.0", "dns", PORT)


class Relay:
    """An API server as far as it lists Pods and forwards their ports; a Pod's name is its address."""

    def __init__(self) -> None:
        self.pods: list[str] = []
        self.url = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        runner = web.AppRunner(self._app())

        async def start() -> None:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

        try:
            asyncio.run_coroutine_threadsafe(start(), loop).result(30)
            yield
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/default/pods", self._list)
        app.router.add_get("/api/v1/namespaces/default/pods/{pod}/portforward", self._forward)
        return app

    async def _list(self, _: web.Request) -> web.Response:
        items = [
            {
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "labels": {GROUP: "shop"},
                    "annotations": {STATUS: encode(RECORD)},
                },
                "status": {
                    "phase": "Running",
                    "initContainerStatuses": [{"name": "hazelcast", "ready": True}],
                },
            }
            for name in self.pods
        ]
        return web.json_response({"metadata": {}, "items": items})

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        port = int(request.query["ports"])
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        for channel in (DATA, ERROR):
            await socket.send_bytes(channel + port.to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection(request.match_info["pod"], port)
        except OSError as error:
            await socket.send_bytes(ERROR + str(error).encode())
            await socket.close()
            return socket

        async def answers() -> None:
            while data := await reader.read(7):  # small frames, as a slow network has them
                await socket.send_bytes(DATA + data)

        answering = asyncio.create_task(answers())
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                writer.write(message.data[1:])
        answering.cancel()
        writer.close()
        return socket


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay()
    with made.running():
        yield made


def ask(relay: Relay, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "relay", "cluster": {"server": relay.url}}],
                "users": [{"name": "user", "user": {}}],
                "contexts": [{"name": "relay", "context": {"cluster": "relay", "user": "user"}}],
                "current-context": "relay",
            }
        )
    )
    command = [
        sys.executable,
        "-m",
        "hazelcast_sidecar.cli",
        "status",
        "--kubeconfig",
        str(kubeconfig),
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_members_say_whether_they_are_one_cluster(
    launcher: Launcher, relay: Relay, tmp_path: Path, eventually: Eventually
) -> None:
    given = {"port": str(PORT)}
    for address in (FIRST, SECOND):
        launcher.member(address, group=[FIRST, SECOND], given=given)
    relay.pods = [FIRST, SECOND]

    def answered(*options: str) -> Any:
        return json.loads(ask(relay, tmp_path, "-o", "json", *options).stdout)

    def sizes() -> list[int]:
        return [pod["view"]["health"]["clusterSize"] for pod in answered()[0]["pods"] if pod["view"]]

    eventually(lambda: sizes() == [2, 2], 120)
    shown = ask(relay, tmp_path)
    assert shown.returncode == 0, shown
    assert "default/shop  one cluster of 2 members, safe" in shown.stdout
    assert shown.stdout.count("5.7.0") == 2

    # One that has no others to find is a cluster of its own.
    alone = launcher.member(APART, group=[APART], given=given)
    relay.pods = [FIRST, SECOND, APART]
    eventually(lambda: sorted(sizes()) == [1, 2, 2], 120)
    shown = ask(relay, tmp_path)
    assert shown.returncode == 1, shown
    assert (
        f"the members do not form one cluster: {FIRST}, {SECOND} see 2 members; {APART} sees only itself"
        in (shown.stdout)
    )
    assert f"kubectl -n default delete pod {APART}" in shown.stdout

    alone.end(signal.SIGKILL)
    shown = ask(relay, tmp_path)
    assert shown.returncode == 0, shown
    assert f"{APART} could not be asked: " in shown.stdout


def test_no_groups_is_said(relay: Relay, tmp_path: Path) -> None:
    shown = ask(relay, tmp_path)
    assert (shown.returncode, shown.stdout) == (0, "no injected Pods in the namespace default\n")
    assert ask(relay, tmp_path, "-o", "json").stdout == "[]\n"


def test_an_api_server_that_is_away_is_said(tmp_path: Path) -> None:
    gone = Relay()
    gone.url = "http://127.0.0.1:9"
    shown = ask(gone, tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "http://127.0.0.1:9" in shown.stderr
    assert "Traceback" not in shown.stderr
