"""A running webhook: its two applications on loopback, over real TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from pytest_aiohttp import AiohttpServer

from hazelcast_sidecar.certificates import KeyPair, make_authority, make_leaf
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.admin import Readiness, admin_application
from hazelcast_sidecar.runtime.connections import Bounds, Connections
from hazelcast_sidecar.runtime.listening import HTTP, listen
from hazelcast_sidecar.server import app
from hazelcast_sidecar.server.app import MUTATE_PODS, request_handler, webhook_server
from hazelcast_sidecar.server.server_metrics import ServerMetrics
from hazelcast_sidecar.server.tls import ServedCertificate


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the programs have, too."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class TlsFiles:
    """A certificate authority, and a leaf for 127.0.0.1 signed by it, as files."""

    authority: KeyPair
    certificate: Path
    key: Path

    @property
    def client(self) -> ssl.SSLContext:
        """What a client that trusts the authority connects with."""
        return ssl.create_default_context(cadata=self.authority.certificate.decode())


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Fresh certificates."""
    folder, now = tmp_path_factory.mktemp("tls"), datetime.now(UTC)
    authority = make_authority(now)
    leaf = make_leaf(authority, ["127.0.0.1"], now)
    (folder / "tls.crt").write_bytes(leaf.certificate)
    (folder / "tls.key").write_bytes(leaf.key)
    return TlsFiles(authority, folder / "tls.crt", folder / "tls.key")


@dataclass
class Webhook:
    """The server as the API server and the kubelet see it."""

    url: str
    admin: str
    http: aiohttp.ClientSession
    readiness: Readiness
    log: list[dict[str, Any]] = field(default_factory=list)

    async def post(self, body: bytes, **options: Any) -> tuple[int, Any]:
        """POST as the API server does: status and decoded body."""
        options = {"headers": {"Content-Type": "application/json"}, **options}
        async with self.http.post(self.url + MUTATE_PODS, data=BytesIO(body), **options) as response:
            return response.status, await response.json()

    async def metric(self, name: str) -> float:
        """The value of one time series, as it stands in the exposition."""
        async with self.http.get(self.admin + "/metrics") as response:
            lines = (await response.text()).splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


@pytest.fixture
async def webhook(
    tls: TlsFiles, aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Webhook]:
    """A webhook of its own for each test, which closes no connection unless it is told."""
    monkeypatch.setattr(app, "RENEWAL_SECONDS", 3600)
    readiness, metrics, lines = Readiness(set()), ServerMetrics(), []

    def log(message: str, **fields: Any) -> None:
        lines.append({"message": message, **fields})

    certificate = ServedCertificate(tls.certificate, tls.key)
    served = webhook_server(request_handler(Reviewer(), readiness, metrics, log), **HTTP)
    connections = Connections(Bounds(), metrics.closed)
    server = await listen(
        "--listen", served, Address("127.0.0.1", 0), connections, lambda: certificate.context
    )
    admin = await aiohttp_server(admin_application(readiness, metrics.exposition))
    connector = aiohttp.TCPConnector(ssl=tls.client)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Webhook(f"https://{server.address}", str(admin.make_url("")), http, readiness, lines)
    await server.cleanup()
