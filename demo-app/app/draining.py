"""The end of a replica: it answers for a while, and sends its clients to the others."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator

from aiohttp import web

DRAINING = web.AppKey("draining", asyncio.Event)

log = logging.getLogger("demo-app")


async def drain(seconds: float, app: web.Application) -> AsyncIterator[None]:
    """Take the signals over from aiohttp, which ends at the first one.

    SIGTERM is how a Pod's end begins, and whoever sends requests here learns of that a little later: they
    are answered for so many seconds more. SIGINT, or a second SIGTERM, ends it at once.
    """
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()

    def begin() -> None:
        log.info("draining for %g s", seconds)
        app[DRAINING].set()
        loop.add_signal_handler(signal.SIGTERM, end)
        timers.append(loop.call_later(seconds, end))

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)  # it ends already
        for timer in timers:
            timer.cancel()
        raise web.GracefulExit

    loop.add_signal_handler(signal.SIGTERM, begin)
    loop.add_signal_handler(signal.SIGINT, end)
    yield


async def send_elsewhere(request: web.Request, response: web.StreamResponse) -> None:
    """End each connection with its next answer while draining: a kept one would lead here until the end."""
    if request.app[DRAINING].is_set():
        response.headers["Connection"] = "close"
        response.force_close()
