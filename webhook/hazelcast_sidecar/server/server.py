"""The server's life cycle: start, serve, drain, stop."""

import asyncio
import gc
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.runtime.admin import Readiness, admin_application, stop_signals
from hazelcast_sidecar.runtime.connections import Bounds, Connections
from hazelcast_sidecar.runtime.listening import ADMIN_BOUNDS, HTTP, listen
from hazelcast_sidecar.runtime.log import json_lines, take_up_logging
from hazelcast_sidecar.runtime.memory import give_back_memory
from hazelcast_sidecar.runtime.reload import follow
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.server.app import request_handler, webhook_server
from hazelcast_sidecar.server.clients import only
from hazelcast_sidecar.server.server_metrics import ServerMetrics
from hazelcast_sidecar.server.tls import ServedCertificate
from hazelcast_sidecar.version import __version__

_EXPIRY_SECONDS = 2

_EXPIRED = "certificate expired"


@dataclass(frozen=True)
class ServerSettings:
    """How one server process runs.

    Attributes:
        settings: the file with the settings; None: the shipped ones.
        client_authority: CAs that sign client certificates; None: any client is served.
        client_name: the name of the only client that is served; None: all of them.
        drain_seconds: how long requests are still answered after SIGTERM, with /readyz false: the API
            server's node learns of a Pod's end some time after the Pod itself.
    """

    listen: Address
    admin_listen: Address
    tls_certificate: Path
    tls_key: Path
    settings: Path | None = None
    client_authority: Path | None = None
    client_name: str | None = None
    drain_seconds: float = 5.0


def run(server: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InvalidSettingsError: a setting cannot be used, or an address is taken.
    """
    uvloop.run(_serve(server))


async def _serve(server: ServerSettings) -> None:
    certificate = ServedCertificate(server.tls_certificate, server.tls_key, server.client_authority)
    settings = SettingsFile(server.settings)
    reviewer = Reviewer(settings.load())
    log = json_lines(later=asyncio.get_running_loop().call_soon)
    take_up_logging(log)
    readiness, metrics = Readiness(), ServerMetrics()
    stop, stop_at_once = stop_signals()
    admin = await listen(
        "--admin-listen",
        admin_application(readiness, metrics.exposition),
        server.admin_listen,
        Connections(ADMIN_BOUNDS),
    )
    known = {"admits": only(server.client_name, log)} if server.client_name else {}
    connections = Connections(Bounds(), metrics.closed, **known)
    metrics.open_connections.set_function(lambda: len(connections))
    served = webhook_server(request_handler(reviewer, readiness, metrics, log), **HTTP)
    webhook = await listen("--listen", served, server.listen, connections, lambda: certificate.context)
    # Objects made until now live on: the collector need not scan them during requests.
    gc.collect()
    gc.freeze()
    readiness.obstacles.clear()
    addresses = {"listen": str(server.listen), "admin": str(server.admin_listen)}
    log("serving", version=__version__, **certificate.fields(), **addresses)
    following = [
        asyncio.create_task(
            follow("certificate", certificate.reload, metrics.certificate, log, certificate.fields)
        ),
        asyncio.create_task(follow("settings", lambda: settings.reload(reviewer.use), metrics.settings, log)),
        asyncio.create_task(watch_expiry(certificate, readiness, metrics)),
        asyncio.create_task(give_back_memory()),
    ]
    await stop.wait()
    readiness.obstacles.add("draining")
    log("draining", seconds=server.drain_seconds)
    with suppress(TimeoutError):
        await asyncio.wait_for(stop_at_once.wait(), server.drain_seconds)
    for task in following:
        task.cancel()
    await webhook.cleanup()
    await admin.cleanup()
    log("stopped")


async def watch_expiry(certificate: ServedCertificate, readiness: Readiness, metrics: ServerMetrics) -> None:
    """Keep the server not ready while its certificate has expired, until cancelled."""
    while True:
        metrics.certificate_expiry.set(certificate.expires.timestamp())
        if certificate.expires <= datetime.now(UTC):
            readiness.obstacles.add(_EXPIRED)
        else:
            readiness.obstacles.discard(_EXPIRED)
        await asyncio.sleep(_EXPIRY_SECONDS)
