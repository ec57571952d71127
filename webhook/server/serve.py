"""The server's life: start, serve, drain, stop."""

import asyncio
import gc
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

import uvloop
from aiohttp import web

from webhook.errors import InvalidSettingsError, Problem
from webhook.review import Reviewer
from webhook.server.app import Readiness, admin_application, webhook_application
from webhook.server.log import json_lines
from webhook.server.metrics import Metrics
from webhook.server.tls import server_context
from webhook.settings import Settings
from webhook.version import __version__

# The API server drops its idle connections after 90 s (Go's http.DefaultTransport). It must be the one to
# close: a review written to a connection that we are closing fails, and with it the Pod's creation.
_KEEPALIVE_SECONDS = 120
_BACKLOG = 1024


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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
    stop, stop_at_once = _stop_signals()
    admin = await _listen("--admin-listen", admin_application(readiness, metrics), server.admin_listen, None)
    webhook = await _listen(
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


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events that the first and the second SIGTERM or SIGINT set."""
    first, second = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return first, second


async def _listen(
    option: str, app: web.Application, address: Address, tls: SSLContext | None
) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=_KEEPALIVE_SECONDS, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host, address.port, ssl_context=tls, backlog=_BACKLOG).start()
    except OSError as error:
        await runner.cleanup()
        raise InvalidSettingsError(
            [Problem(option, f"cannot listen on {address}: {error.strerror or error}")]
        ) from error
    return runner
