"""Answers in plain text: those of Hazelcast's guide, and what probes ask."""

from aiohttp import web

from app.draining import DRAINING
from app.keys import CLUSTER
from app.limits import check_size


def parameters(request: web.Request, *names: str) -> list[str]:
    """Return the values of these query parameters, all of which must be there (else 400)."""
    missing = [name for name in names if name not in request.query]
    if missing:
        call = f"{request.path}?" + "&".join(f"{name}={name.upper()}" for name in names)
        raise web.HTTPBadRequest(text=f"Missing {' and '.join(missing)}: call {call}\n")
    return [request.query[name] for name in names]


async def put(request: web.Request) -> web.Response:
    """Answers the value that the new one replaces."""
    return web.Response(text=await request.app[CLUSTER].put(*parameters(request, "key", "value")) or "")


async def put_form(request: web.Request) -> web.Response:
    """Answers as /put, to a key and a value in a form."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(
            text=f"This is {request.content_type}: send the fields key and value as a form "
            "(application/x-www-form-urlencoded), as curl --data-urlencode does\n"
        )
    try:
        form = await request.post()
    except (LookupError, UnicodeDecodeError) as error:
        raise web.HTTPBadRequest(text=f"The form is not in the charset that it names: {error}\n") from None
    missing = [name for name in ("key", "value") if name not in form]
    if missing:
        raise web.HTTPBadRequest(text=f"Missing {' and '.join(missing)}: send both fields, key and value\n")
    key, value = str(form["key"]), str(form["value"])
    check_size(key, value)
    return web.Response(text=await request.app[CLUSTER].put(key, value) or "")


async def get(request: web.Request) -> web.Response:
    """Answers the value of a key."""
    return web.Response(text=await request.app[CLUSTER].get(*parameters(request, "key")) or "")


async def members(request: web.Request) -> web.Response:
    """Answers {"size": N, "members": ["HOST:PORT", ...], "local": "HOST:PORT" or null}."""
    addresses, local = request.app[CLUSTER].members()
    return web.json_response({"size": len(addresses), "members": addresses, "local": local})


async def readyz(request: web.Request) -> web.Response:
    """Answers 200 while connected and not about to end."""
    if request.app[DRAINING].is_set():
        raise web.HTTPServiceUnavailable(text="draining: this replica is about to end\n")
    addresses, _ = request.app[CLUSTER].members()
    return web.Response(text=f"connected, {len(addresses)} members\n")


async def healthz(_request: web.Request) -> web.Response:
    """Answers 200, whatever the member does."""
    return web.Response(text="alive\n")
