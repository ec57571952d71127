"""The AdmissionReview around an object, decoded with the parts of the object that are needed, and answered.

Source: Kubernetes documentation, "Dynamic Admission Control"; API group admission.k8s.io/v1.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Generic, TypeVar

import msgspec

from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.limits import MAX_NAME, shown
from hazelcast_sidecar.text import in_one_line
from hazelcast_sidecar.untrusted import UNDECODABLE

API_VERSION = "admission.k8s.io/v1"

_MAX_WARNING = 256  # characters, beyond which the API server may cut warnings short
_MAX_WARNINGS = 16  # the API server keeps 4 KiB of them

T = TypeVar("T")


class GroupVersionKind(msgspec.Struct, gc=False):
    """The type of the object under review."""

    group: str = ""
    version: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.group, self.version, self.kind)))


class AdmissionRequest(msgspec.Struct, Generic[T], gc=False, rename="camel"):
    """The request, with the object as far as injection reads it."""

    uid: str = ""
    kind: GroupVersionKind = msgspec.field(default_factory=GroupVersionKind)
    namespace: str = ""
    operation: str = ""
    sub_resource: str = ""
    dry_run: bool | None = None
    object: T | None = None
    old_object: T | None = None


class AdmissionReview(msgspec.Struct, Generic[T], gc=False, rename="camel"):
    """The outer document."""

    api_version: str = ""
    kind: str = ""
    request: AdmissionRequest[T] | None = None


class _Unread(msgspec.Struct, rename="camel"):
    """The outer document alone, to tell what is wrong with a review that did not decode."""

    api_version: str = ""
    kind: str = ""
    request: msgspec.Raw = msgspec.Raw(b"null")


class _About(msgspec.Struct):
    """The part of a request that says what it is about."""

    kind: GroupVersionKind = msgspec.field(default_factory=GroupVersionKind)


Decode = Callable[[bytes], AdmissionReview[T]]
CheckKind = Callable[[GroupVersionKind], None]


def read(body: bytes, decode: Decode[T], check_kind: CheckKind) -> AdmissionRequest[T]:
    """Return the request in a review.

    Args:
        body: JSON, as the API server sends it.
        decode: decodes the review with its object.
        check_kind: raises ReviewError for an unexpected kind.

    Raises:
        ReviewError: the bytes are not an admission review of such an object.
    """
    try:
        review = decode(body)
    except UNDECODABLE as error:
        raise _undecodable(body, error, check_kind) from error
    request = review.request
    _check_envelope(review.api_version, review.kind, request)
    assert request is not None  # noqa: S101 - checked just before
    check_kind(request.kind)
    if not request.uid:
        raise ReviewError(
            HTTPStatus.BAD_REQUEST, "the admission request has no uid; no response could refer to it"
        )
    if len(request.uid) > MAX_NAME:
        raise ReviewError(
            HTTPStatus.BAD_REQUEST, f"the admission request's uid is longer than {MAX_NAME} characters"
        )
    return request


def _check_envelope(api_version: str, kind: str, request: object) -> None:
    if kind != "AdmissionReview":
        raise ReviewError(HTTPStatus.BAD_REQUEST, f'the body is a "{shown(kind)}", not an AdmissionReview')
    if api_version != API_VERSION:
        raise ReviewError(
            HTTPStatus.BAD_REQUEST,
            f'the AdmissionReview is of apiVersion "{shown(api_version)}"; this webhook supports '
            f"{API_VERSION}, so its admissionReviewVersions must contain v1",
        )
    if request is None:
        raise ReviewError(HTTPStatus.BAD_REQUEST, "the AdmissionReview has no request")


def _undecodable(body: bytes, error: Exception, check_kind: CheckKind) -> ReviewError:
    """Return why a body did not decode: not JSON, not a review, of another kind, or malformed."""
    if isinstance(error, RecursionError):
        return ReviewError(HTTPStatus.BAD_REQUEST, "the body is nested too deeply")
    try:
        envelope = msgspec.json.decode(body, type=_Unread)
        _check_envelope(envelope.api_version, envelope.kind, envelope.request)
        if bytes(memoryview(envelope.request)[:1]) == b"{":
            check_kind(msgspec.json.decode(envelope.request, type=_About).kind)
    except ReviewError as found:
        return found
    except UNDECODABLE as found:
        return ReviewError(HTTPStatus.BAD_REQUEST, f"the body is not an AdmissionReview: {found}")
    return ReviewError(HTTPStatus.BAD_REQUEST, f"the AdmissionReview cannot be read: {error}")


_ANSWER = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%b,%b}}'


def answer(uid: str, rest: bytes) -> bytes:
    """Encode an AdmissionReview with the response to one request; `rest` comes from `allowed` or `denied`."""
    return _ANSWER % (msgspec.json.encode(uid), rest)


def allowed(audit: dict[str, str], warnings: Iterable[str] = (), patch: str | None = None) -> bytes:
    """Encode the rest of a response that admits an object.

    Args:
        audit: annotations of the audit event; the API server prefixes each key with the webhook's name.
        warnings: for the sender of the request; the API server accepts short ones only.
        patch: JSON Patch, base64.
    """
    response: dict[str, object] = {"allowed": True, "auditAnnotations": audit}
    if shortened := [_shortened(warning) for warning in warnings][:_MAX_WARNINGS]:
        response["warnings"] = shortened
    if patch is not None:
        response |= {"patchType": "JSONPatch", "patch": patch}
    return _members(response)


def denied(audit: dict[str, str], message: str) -> bytes:
    """Encode the rest of a response that rejects an object as invalid."""
    status = {"code": HTTPStatus.UNPROCESSABLE_ENTITY, "reason": "Invalid", "message": in_one_line(message)}
    return _members({"allowed": False, "auditAnnotations": audit, "status": status})


def _members(mapping: dict[str, object]) -> bytes:
    return msgspec.json.encode(mapping)[1:-1]


def _shortened(text: str) -> str:
    warning = in_one_line(text[: _MAX_WARNING + 1])  # escaping does not make it shorter
    return warning if len(warning) <= _MAX_WARNING else warning[: _MAX_WARNING - 1] + "…"
