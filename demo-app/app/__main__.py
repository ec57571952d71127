"""The program: `python -m app`."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from app import entries, guide, live, structures
from app.cluster import RETRY_PAUSE, SHUTDOWN_LIMIT, Cluster, MemberAwayError
from app.draining import DRAINING, drain, send_elsewhere
from app.keys import CLUSTER, SETTINGS
from app.limits import BODY_BYTES, REQUEST_LINE_BYTES, say_what_is_too_large
from app.settings import Settings, parse_settings
from app.tally import tally


@web.middleware
async def say_when_away(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 503 with a sentence while no member does."""
    try:
        return await handler(request)
    except MemberAwayError as away:
        raise web.HTTPServiceUnavailable(text=f"{away}\n", headers={"Retry-After": "1"}) from None


async def connection(app: web.Application) -> AsyncIterator[None]:
    """Connect in the background, so that the port answers from the start, even without a member."""
    connecting = asyncio.create_task(app[CLUSTER].stay_connected())
    yield
    while not connecting.done():  # the client swallows a cancellation that meets it while it connects
        connecting.cancel()
        await asyncio.wait([connecting], timeout=RETRY_PAUSE)


def application(settings: Settings) -> web.Application:
    """Make the web application, which connects to the cluster when it is started."""
    app = web.Application(middlewares=[say_what_is_too_large, say_when_away], client_max_size=BODY_BYTES)
    app[SETTINGS] = settings
    app[CLUSTER] = Cluster(settings)
    app[DRAINING] = asyncio.Event()
    app[live.STREAMS] = set()
    app.cleanup_ctx.extend((connection, partial(drain, settings.drain)))
    app.on_response_prepare.extend((send_elsewhere, live.protect))
    app.on_shutdown.append(live.end_streams)
    app.router.add_get("/put", guide.put, allow_head=False)  # a HEAD request must not write
    app.router.add_post("/put", guide.put_form)
    plain = (guide.get, guide.members, guide.readyz, guide.healthz)
    app.add_routes([web.get(f"/{handler.__name__}", handler) for handler in plain])
    app.router.add_get("/", live.page)
    app.router.add_static("/page", live.PAGE)
    app.router.add_get("/events", live.events, allow_head=False)
    app.router.add_get("/entry", entries.read, allow_head=False)
    app.router.add_put("/entry", entries.write)
    app.router.add_post("/tally", tally)
    app.add_routes(
        [
            web.get("/counter", structures.counter, allow_head=False),
            web.post("/counter", structures.add),
            web.post("/queue", structures.enqueue),
            web.delete("/queue", structures.take),
            web.post("/topic", structures.publish),
            web.get("/sql", structures.sql, allow_head=False),
        ]
    )
    return app


def main() -> None:
    """Serve until SIGINT, or for DRAIN_SECONDS after SIGTERM, and end with status 0 then."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings = parse_settings(os.environ)
        web.run_app(
            application(settings),
            host=settings.host,
            port=settings.port,
            shutdown_timeout=SHUTDOWN_LIMIT,
            access_log=None,
            print=None,
            max_line_size=REQUEST_LINE_BYTES,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"demo-app: {error}")


if __name__ == "__main__":
    main()
