"""The body of a review, read without copies."""

from http import HTTPStatus

from aiohttp import HttpVersion11, web

from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.limits import MAX_REVIEW_BYTES

_JSON = "application/json"


async def whole_body(request: web.BaseRequest) -> bytes:
    """Return the whole body of a request.

    Raises:
        ReviewError: its headers do not say JSON, it is too large, or incomplete.
    """
    headers = request.headers
    if headers.get("Content-Type") != _JSON and request.content_type != _JSON:
        raise ReviewError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f'the content type is "{request.content_type}"; send an AdmissionReview as {_JSON}',
        )
    if encoding := headers.get("Content-Encoding"):
        raise ReviewError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'the content encoding is "{encoding}"; send plain JSON'
        )
    if "Expect" in headers:
        _check_expectation(headers["Expect"])
    try:
        if request.content.is_eof():
            return request.content.read_nowait()  # it came with its head, as reviews mostly do
        if request.transport is None:  # aiohttp tells only a request that a handler has begun with
            raise ConnectionResetError("the client is gone")
        if "Expect" in headers and request.version == HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await _in_pieces(request)
    except (web.RequestPayloadError, ConnectionError) as error:
        error.__traceback__ = None  # the request keeps the error, which would keep what has come of the body
        raise ReviewError(HTTPStatus.BAD_REQUEST, f"the body is incomplete: {error}") from error


async def _in_pieces(request: web.BaseRequest) -> bytes:
    """Read the body as it arrives; aiohttp's own `read` would take three times as much memory."""
    pieces, size = [], 0
    while piece := await request.content.readany():
        size += len(piece)
        if size > MAX_REVIEW_BYTES:
            sentence = f"the body is larger than {MAX_REVIEW_BYTES} bytes, more than an API server sends"
            raise ReviewError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_expectation(expectation: str) -> None:
    """Refuse all but `100-continue`, whose client then waits for an answer 100 (RFC 9110, 10.1.1).

    Raises:
        ReviewError: it expects something else.
    """
    if expectation.lower() != "100-continue":
        raise ReviewError(
            HTTPStatus.EXPECTATION_FAILED, f'the expectation "{expectation}" cannot be met; send none'
        )
