"""The page, and what keeps it up to date without a reload: server-sent events.

GET /events  the event `picture` at first and after each change of the cluster,
             `away` with a sentence while no member answers, `written` for each key that a replica writes,
             `said` for what a replica says to the topic, and `alive` when there was nothing else for a while
"""

import asyncio
import json
from pathlib import Path

from aiohttp import web

from app.cluster import Cluster, MemberAwayError, News
from app.draining import DRAINING
from app.keys import CLUSTER, SETTINGS

MOST_STREAMS = 32
"""How many pages are kept up to date at once; each looks ten times a second."""
LONGEST_KEY_SHOWN = 100
LOOK_PAUSE, SIGN_OF_LIFE, WRITE_LIMIT = 0.1, 10.0, 5.0  # in seconds

PAGE = Path(__file__).parent / "page"
# Scripts, styles and connections of this application alone, and none in the markup: a value that
# were taken for markup could do nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

STREAMS = web.AppKey("streams", set[web.StreamResponse])


async def page(_request: web.Request) -> web.FileResponse:
    """Answers the page."""
    return web.FileResponse(PAGE / "index.html")


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Give the page and its parts their headers."""
    if request.path == "/" or request.path.startswith("/page/"):
        response.headers.update(HEADERS)


async def events(request: web.Request) -> web.StreamResponse:
    """Streams events until the page goes, or this replica is about to end."""
    if request.app[DRAINING].is_set():
        raise web.HTTPServiceUnavailable(text="draining: this replica is about to end\n")
    streams = request.app[STREAMS]
    if len(streams) >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable(
            text=f"{MOST_STREAMS} pages of this replica are live already: close one, or try again later\n",
            headers={"Retry-After": "10"},
        )
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    streams.add(response)
    try:
        await response.prepare(request)
        await _stream(request, response)
    except (ConnectionError, TimeoutError):
        pass  # the page is gone, or does not read
    finally:
        streams.discard(response)
    return response


async def end_streams(app: web.Application) -> None:
    """End the streams, which would last as long as their pages."""
    app[DRAINING].set()


async def _stream(request: web.Request, response: web.StreamResponse) -> None:
    app = request.app
    cluster, replica = app[CLUSTER], app[SETTINGS].replica
    loop = asyncio.get_running_loop()
    seen, number, last_sent = "", _latest(cluster), loop.time()
    while not app[DRAINING].is_set() and request.transport:  # it has none once the page is gone
        now = _picture(cluster, replica)
        parts = [now] if now != seen else []
        for news in cluster.news_since(number):
            parts.append(await _told(cluster, news))
            number = news.number
        if not parts and loop.time() > last_sent + SIGN_OF_LIFE:
            parts.append(_event("alive", {}))
        if parts:
            async with asyncio.timeout(WRITE_LIMIT):
                await response.write("".join(parts).encode())
            seen, last_sent = now, loop.time()
        await asyncio.sleep(LOOK_PAUSE)


def _latest(cluster: Cluster) -> int:
    return max((news.number for news in cluster.news_since(0)), default=0)


def _picture(cluster: Cluster, replica: str) -> str:
    try:
        picture = cluster.picture()
    except MemberAwayError as away:
        return _event("away", {"replica": replica, "sentence": str(away)})
    return _event("picture", {"replica": replica, **picture._asdict()})


async def _told(cluster: Cluster, news: News) -> str:
    if news.kind == "said":
        return _event("said", {"text": news.text})
    key = news.text
    shown = {"key": key[:LONGEST_KEY_SHOWN], "whole": len(key) <= LONGEST_KEY_SHOWN}
    try:
        partition, owner = await cluster.locate(key)
    except MemberAwayError:
        return ""
    return _event("written", {**shown, "partition": partition, "owner": owner})


def _event(name: str, document: dict[str, object]) -> str:
    data = json.dumps(document, separators=(",", ":"))  # on one line
    return f"event: {name}\ndata: {data}\n\n"
