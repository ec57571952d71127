"""The admin port of a long-running command, and its stop signals."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST


@dataclass
class Readiness:
    """Readiness of this replica, which is ready while it has no obstacles."""

    obstacles: set[str] = field(default_factory=lambda: {"starting"})

    @property
    def ready(self) -> bool:
        """Return the answer of /readyz."""
        return not self.obstacles


def admin_application(readiness: Readiness, exposition: Callable[[], bytes]) -> web.Application:
    """Make the application that the kubelet and Prometheus call.

    Args:
        readiness: decides the answer of /readyz.
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


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return events that the first and the second SIGTERM or SIGINT set."""
    first, second = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return first, second
