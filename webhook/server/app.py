"""The HTTP application that the API server calls."""

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from webhook.daemon.admin import Readiness
from webhook.daemon.log import LogLine
from webhook.envelope import MAX_REVIEW_BYTES
from webhook.errors import ReviewError, in_one_sentence
from webhook.policy import SENTENCES, Deny, Inject, Skip
from webhook.review import Reviewed, Reviewer
from webhook.server.metrics import REFUSALS, Metrics
from webhook.workload_policy import Copy

MUTATE_PODS, MUTATE_WORKLOADS = "/mutate/pods", "/mutate/workloads"

_JSON_HEADERS = {"Content-Type": "application/json"}


def webhook_application(
    reviewer: Reviewer, readiness: Readiness, metrics: Metrics, log: LogLine
) -> web.Application:
    """What the API server calls: POST of an AdmissionReview to `MUTATE_PODS` or `MUTATE_WORKLOADS`."""

    def answer_with(review: Callable[[bytes], Reviewed]) -> Handler:
        async def mutate(request: web.Request) -> web.Response:
            body = await _body(request)
            started = perf_counter()
            reviewed = review(body)
            response = web.Response(body=reviewed.body, headers=_JSON_HEADERS)
            if not readiness.ready:
                response.force_close()  # the API server then takes its next review to another replica
            seconds = perf_counter() - started
            metrics.answered(reviewed.decision.reason)
            metrics.observe_seconds(seconds)
            _log_review(log, reviewed, seconds)
            return response

        return mutate

    app = web.Application(client_max_size=MAX_REVIEW_BYTES, middlewares=[_refusals(metrics, log)])
    app.router.add_post(MUTATE_PODS, answer_with(reviewer.review_pod))
    app.router.add_post(MUTATE_WORKLOADS, answer_with(reviewer.review_workload))
    return app


async def _body(request: web.Request) -> bytes:
    """The body of a review.

    Raises:
        ReviewError: it is no JSON by its headers, or it did not arrive whole.
    """
    if request.content_type != "application/json":
        raise ReviewError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f'the content type is "{request.content_type}"; send an AdmissionReview as application/json',
        )
    if encoding := request.headers.get("Content-Encoding"):
        raise ReviewError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'the content encoding is "{encoding}"; send plain JSON'
        )
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise ReviewError(HTTPStatus.BAD_REQUEST, f"the body did not arrive whole: {error}") from error


def _refusals(metrics: Metrics, log: LogLine) -> Middleware:
    """Middleware: whatever is no review gets its HTTP status and a sentence, and the server goes on."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            return await handler(request)
        except ReviewError as error:
            status, sentence = error.status, error.sentence
        except web.HTTPMethodNotAllowed as error:
            status, sentence = (
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method} is not answered here; POST an AdmissionReview",
            )
            headers = {"Allow": ", ".join(sorted(error.allowed_methods))}
        except web.HTTPNotFound:
            status, sentence = (
                HTTPStatus.NOT_FOUND,
                f"nothing is served here; POST an AdmissionReview to {MUTATE_PODS} or {MUTATE_WORKLOADS}",
            )
        except web.HTTPRequestEntityTooLarge:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            sentence = f"the body is larger than {MAX_REVIEW_BYTES} bytes, more than an API server sends"
        except Exception as error:  # noqa: BLE001 - one bad request must not end the server
            status, sentence = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the webhook's log says more"
            log("internal error", level="error", error=repr(error))
        metrics.refused(status)
        log("refused", level="warning", status=status, sentence=sentence)
        return web.Response(status=status, body=_failure(status, sentence), headers=_JSON_HEADERS | headers)

    return refuse


def _failure(status: HTTPStatus, sentence: str) -> bytes:
    """A `Status` of Kubernetes' meta/v1, whose message the API server shows to the user."""
    return msgspec.json.encode(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": sentence,
            "reason": REFUSALS[status],
            "code": status,
        }
    )


def _log_review(log: LogLine, reviewed: Reviewed, seconds: float) -> None:
    decision = reviewed.decision
    match decision:
        case Inject():
            detail = {"group": decision.group}
        case Deny():
            detail = {"problems": in_one_sentence(decision.problems)}
        case Skip() | Copy():
            detail = {}
    if not isinstance(decision, Deny) and decision.warnings:
        detail["warnings"] = "; ".join(decision.warnings)
    log(
        SENTENCES[decision.reason],
        outcome=decision.reason,
        uid=reviewed.uid,
        namespace=reviewed.namespace,
        kind=reviewed.kind,
        name=reviewed.name,
        dry_run=reviewed.dry_run,
        microseconds=round(seconds * 1e6),
        **detail,
    )
