"""The server's life: start, serve, drain, stop."""

import asyncio
import gc
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

import uvloop

from webhook.daemon.admin import Address, Readiness, admin_application, listen, stop_signals
from webhook.daemon.log import json_lines
from webhook.review import Reviewer
from webhook.server.app import webhook_application
from webhook.server.metrics import Metrics
from webhook.server.tls import server_context
from webhook.settings import Settings
from webhook.version import __version__


@dataclass(frozen=True)
class ServerSettings:
    """How one server process runs.

    Attributes:
        drain_seconds: how long requests are still answered after SIGTERM, with /readyz false: the API
            server's node learns of a Pod's end some time after the Pod itself.
    """

    listen: Address
    admin_listen: Address
    tls_certificate: Path
    tls_key: Path
    drain_seconds: float = 5.0


def run(server: ServerSettings, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InvalidSettingsError: a setting cannot be used, or an address is taken.
    """
    uvloop.run(_serve(server, Reviewer(settings), server_context(server.tls_certificate, server.tls_key)))


async def _serve(server: ServerSettings, reviewer: Reviewer, tls: SSLContext) -> None:
    log = json_lines()
    readiness, metrics = Readiness(), Metrics()
    stop, stop_at_once = stop_signals()
    admin = await listen(
        "--admin-listen", admin_application(readiness, metrics.exposition), server.admin_listen
    )
    webhook = await listen(
        "--listen", webhook_application(reviewer, readiness, metrics, log), server.listen, tls
    )
    # What was made until now stays: the collector need not look at it again during requests.
    gc.collect()
    gc.freeze()
    readiness.ready = True
    log("serving", version=__version__, listen=str(server.listen), admin=str(server.admin_listen))
    await stop.wait()
    readiness.ready = False
    log("draining", seconds=server.drain_seconds)
    with suppress(TimeoutError):
        await asyncio.wait_for(stop_at_once.wait(), server.drain_seconds)
    await webhook.cleanup()
    await admin.cleanup()
    log("stopped")
