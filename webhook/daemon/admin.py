"""The admin port of a long-running command, and how it listens and ends."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from ssl import SSLContext

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from webhook.errors import InvalidSettingsError, Problem

# The API server drops its idle connections after 90 s (Go's http.DefaultTransport). It must be the one to
# close: a review written to a connection that we are closing fails, and with it the Pod's creation.
KEEPALIVE_SECONDS = 120
_SHUTDOWN_SECONDS = 5
_BACKLOG = 1024


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass
class Readiness:
    """Whether this replica can do its work: it can while nothing stands against it."""

    obstacles: set[str] = field(default_factory=lambda: {"starting"})

    @property
    def ready(self) -> bool:
        """What /readyz says."""
        return not self.obstacles


def admin_application(readiness: Readiness, exposition: Callable[[], bytes]) -> web.Application:
    """What the kubelet and Prometheus call.

    Args:
        readiness: what /readyz says.
        exposition: all metrics in Prometheus' text format.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if readiness.ready:
            return web.Response(text="ok\n")
        text = f"not ready: {', '.join(sorted(readiness.obstacles))}\n"
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def listen(
    option: str, served: web.Application | web.Server, address: Address, tls: SSLContext | None = None
) -> web.BaseRunner:
    """Serve an application or a server of one's own; the runner's `cleanup` ends it.

    Raises:
        InvalidSettingsError: the address, given by this option, is taken or not ours.
    """
    runner = (
        web.ServerRunner(served, shutdown_timeout=_SHUTDOWN_SECONDS)
        if isinstance(served, web.Server)
        else web.AppRunner(
            served, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=_SHUTDOWN_SECONDS
        )
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host, address.port, ssl_context=tls, backlog=_BACKLOG).start()
    except OSError as error:
        await runner.cleanup()
        sentence = f"cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}"
        raise InvalidSettingsError([Problem(option, sentence)]) from error
    return runner


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events that the first and the second SIGTERM or SIGINT set."""
    first, second = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return first, second
