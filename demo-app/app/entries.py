"""Entries as the page has them: whether there is a value, where it is, and how long asking took.

GET /entry?key=K   {"replica", "value" (null where there is none), "partition", "owner", "milliseconds"}
PUT /entry?key=K   puts the body, a text in UTF-8; answers the same, with the value that it replaces
"""

from time import perf_counter

from aiohttp import web

from app.cluster import MemberAwayError
from app.guide import parameters
from app.keys import CLUSTER, SETTINGS
from app.limits import check_size


async def read(request: web.Request) -> web.Response:
    """Answers the value of a key."""
    (key,) = parameters(request, "key")
    began = perf_counter()
    value = await request.app[CLUSTER].get(key)
    return await _answer(request, key, value, began)


async def write(request: web.Request) -> web.Response:
    """Put a value, and answer the one that it replaces."""
    (key,) = parameters(request, "key")
    try:
        value = (await request.read()).decode()
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text=f"The value is not text in UTF-8: {error}\n") from None
    check_size(key, value)
    began = perf_counter()
    before = await request.app[CLUSTER].put(key, value)
    return await _answer(request, key, before, began)


async def _answer(request: web.Request, key: str, value: str | None, began: float) -> web.Response:
    took = perf_counter() - began
    try:
        partition, owner = await request.app[CLUSTER].locate(key)
    except MemberAwayError:  # meanwhile; the entry was answered all the same
        partition, owner = None, None
    return web.json_response(
        {
            "replica": request.app[SETTINGS].replica,
            "value": value,
            "partition": partition,
            "owner": owner,
            "milliseconds": round(took * 1000, 1),
        }
    )
