"""The body of a request, held once."""

from aiohttp import web

from webhook.envelope import MAX_REVIEW_BYTES


async def whole_body(request: web.BaseRequest) -> bytes:
    """All of it; mostly it came in one piece, and is not copied then.

    aiohttp's own `read` lets large bodies grow in place, which takes three times their size.

    Raises:
        HTTPRequestEntityTooLarge: it is longer than `MAX_REVIEW_BYTES`.
        RequestPayloadError, ConnectionError: it did not arrive whole.
    """
    pieces, size = [], 0
    while piece := await request.content.readany():
        size += len(piece)
        if size > MAX_REVIEW_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_REVIEW_BYTES, actual_size=size)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
