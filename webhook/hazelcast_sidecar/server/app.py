"""The HTTP interface that the API server calls."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from hazelcast_sidecar.errors import ReviewError, in_one_sentence
from hazelcast_sidecar.injection.pod_decision import SENTENCES, Deny, Inject, Restore, Skip
from hazelcast_sidecar.injection.reviewer import Reviewed, Reviewer
from hazelcast_sidecar.injection.workload_decision import Copy
from hazelcast_sidecar.limits import shown
from hazelcast_sidecar.runtime.admin import Readiness
from hazelcast_sidecar.runtime.log import LogLine
from hazelcast_sidecar.server.body import whole_body
from hazelcast_sidecar.server.response import ReadyResponse
from hazelcast_sidecar.server.server_metrics import REFUSALS, ServerMetrics
from hazelcast_sidecar.text import in_one_line

MUTATE_PODS, MUTATE_WORKLOADS = "/mutate/pods", "/mutate/workloads"

RENEWAL_SECONDS = 1.0
"""One in this many answers closes its connection, whichever connection that is.

The API server keeps its connections and opens new ones only when it has too few, so after a replica was
replaced all of them may lead to the other. New ones are spread by the Service, so that the loss of a replica
leaves some that work.
"""

_MAX_SENTENCE = 2048
"""Maximal characters of a refusal, which may repeat what was sent."""

_JSON_HEADERS = {"Content-Type": "application/json"}

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def request_handler(
    reviewer: Reviewer, readiness: Readiness, metrics: ServerMetrics, log: LogLine
) -> RequestHandler:
    """Make the handler of requests, each a POST of an AdmissionReview to `MUTATE_PODS` or `MUTATE_WORKLOADS`.

    A request that is not a review gets its HTTP status and a sentence, and the server goes on.
    """
    reviews = {MUTATE_PODS: reviewer.review_pod, MUTATE_WORKLOADS: reviewer.review_workload}
    renewed = perf_counter()

    async def answer_review(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal renewed
        # A proxy may send the whole URL as the path (RFC 9112, 3.2.2).
        review = reviews.get(request.raw_path.partition("?")[0]) or reviews.get(request.path)
        if review is None or request.method != "POST":
            raise _misdirected(request, known_path=review is not None)
        body = await whole_body(request)
        started = perf_counter()
        reviewed = review(body)
        seconds = perf_counter() - started
        metrics.answered(reviewed.decision.reason)
        metrics.observe_seconds(seconds)
        _log_review(log, reviewed, seconds)
        if started - renewed < RENEWAL_SECONDS:
            return _response(request, reviewed.body, keep=readiness.ready)
        renewed = started
        return _response(request, reviewed.body, keep=False)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answer_review(request)
        except ReviewError as error:
            status, sentence = error.status, error.sentence
        except Exception as error:  # noqa: BLE001 - one bad request must not end the server
            status, sentence = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the webhook's log"
            log("internal error", level="error", error=repr(error))
        metrics.refused(status)
        log("refused", level="warning", status=status, sentence=sentence)
        headers = {"Allow": "POST"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        return web.Response(status=status, body=_failure(status, sentence), headers=_JSON_HEADERS | headers)

    return answer


def webhook_server(handler: RequestHandler, **options: Any) -> web.Server:  # noqa: ANN401 - aiohttp's
    """Make an HTTP server of this one handler, within a running event loop.

    It is aiohttp's level below `web.Application`, whose routing and middlewares have nothing to do here
    (docs/decisions/0011).

    Args:
        handler: answers each request.
        options: of aiohttp's connections, such as `keepalive_timeout`.
    """
    loop = asyncio.get_running_loop()
    make_request = partial(web.BaseRequest, loop=loop)
    return web.Server(handler, request_factory=make_request, access_log=None, **options)


def _misdirected(request: web.BaseRequest, *, known_path: bool) -> ReviewError:
    if known_path:
        return ReviewError(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed; POST an AdmissionReview"
        )
    return ReviewError(
        HTTPStatus.NOT_FOUND,
        f"this path is not served; POST an AdmissionReview to {MUTATE_PODS} or {MUTATE_WORKLOADS}",
    )


def _response(request: web.BaseRequest, body: bytes, *, keep: bool) -> web.StreamResponse:
    if keep and request.keep_alive and request.version == HttpVersion11:
        return ReadyResponse(body)
    response = web.Response(body=body, headers=_JSON_HEADERS)
    if not keep:
        response.force_close()  # the API server then takes its next review to another replica
    return response


def _failure(status: HTTPStatus, sentence: str) -> bytes:
    """Encode a meta/v1 `Status`, whose message the API server shows to the user."""
    return msgspec.json.encode(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": in_one_line(sentence[:_MAX_SENTENCE]),
            "reason": REFUSALS[status],
            "code": status,
        }
    )


def _log_review(log: LogLine, reviewed: Reviewed, seconds: float) -> None:
    decision = reviewed.decision
    match decision:
        case Inject() | Restore():
            detail = {"group": decision.group}
        case Deny():
            detail = {"problems": in_one_sentence(decision.problems)}
        case Skip() | Copy():
            detail = {"pods": decision.outcome} if decision.outcome else {}
    if not isinstance(decision, Deny) and decision.warnings:
        detail["warnings"] = "; ".join(decision.warnings)
    log(
        SENTENCES[decision.reason],
        outcome=decision.reason,
        uid=reviewed.uid,
        namespace=shown(reviewed.namespace),
        kind=reviewed.kind,
        name=shown(reviewed.name),
        dry_run=reviewed.dry_run,
        microseconds=round(seconds * 1e6),
        **detail,
    )
