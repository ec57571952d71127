"""How much one request may bring, and what is answered to more."""

from aiohttp import web
from aiohttp.typedefs import Handler

URL_BYTES = 8_190
"""Of a request's path and query: what aiohttp takes by default."""
KEY_BYTES = 8_190
VALUE_BYTES = 1 << 20
BODY_BYTES = 3 * (KEY_BYTES + VALUE_BYTES) + 64
"""Of a form with both: in one, a byte may take three (%C3)."""
REQUEST_LINE_BYTES = 256 << 10
"""A URL of up to that, which is more than a command line can carry, is answered with a sentence."""

_BY_POST = (
    f"send a value of up to {VALUE_BYTES:,} bytes by POST: "
    "curl --data-urlencode key=KEY --data-urlencode value@FILE http://.../put"
)


class EntryTooLarge(web.HTTPRequestEntityTooLarge):
    """An entry whose key or value is too large."""


def check_size(key: str, value: str) -> None:
    """Refuse an entry whose key or value is too large, with 413."""
    for what, text, limit in (("key", key, KEY_BYTES), ("value", value, VALUE_BYTES)):
        size = len(text.encode())
        if size > limit:
            sentence = f"The {what} has {size:,} bytes, and at most {limit:,} are taken\n"
            raise EntryTooLarge(limit, size, text=sentence)


@web.middleware
async def say_what_is_too_large(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 414 to a URL that is too long, and 413 to a body that is; with the limit, and what to do."""
    size = len(request.raw_path)
    if size > URL_BYTES:
        raise web.HTTPRequestURITooLong(
            text=f"This URL has {size:,} bytes, and at most {URL_BYTES:,} are taken; {_BY_POST}\n"
        )
    try:
        return await handler(request)
    except EntryTooLarge:
        raise
    except web.HTTPRequestEntityTooLarge as error:  # aiohttp's own, which knows no keys and values
        error.text = f"This request is too large: at most {VALUE_BYTES:,} bytes are taken for a value\n"
        raise
