"""AdmissionReview bytes in, AdmissionReview bytes out.

Source: Kubernetes documentation, "Dynamic Admission Control"; API group admission.k8s.io/v1.
No I/O, no clock: the webhook, the command line and the tests run this very function.
"""

import binascii
from collections import OrderedDict
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from webhook import patch, policy
from webhook.annotations import read_defaults
from webhook.errors import ReviewError, in_one_sentence
from webhook.patch import Shape
from webhook.pod import Pod
from webhook.policy import Decision, Deny, Inject, Reason, Skip
from webhook.settings import Settings

MAX_REVIEW_BYTES = 7 * 1024 * 1024
"""The API server takes objects of 3 MiB; a review can hold two of them and some more."""

API_VERSION = "admission.k8s.io/v1"

_MAX_KEPT_PATCHES = 1024
_MAX_KEPT_BYTES = 64 * 1024  # of one patch: it grows with the number of containers
_MAX_WARNING = 256  # characters, beyond which the API server may cut warnings short


class GroupVersionKind(msgspec.Struct, gc=False):
    """The type of the object under review."""

    group: str = ""
    version: str = ""
    kind: str = ""


class AdmissionRequest(msgspec.Struct, gc=False, rename="camel"):
    """The request, with the Pod as far as injection reads it."""

    uid: str = ""
    kind: GroupVersionKind = msgspec.field(default_factory=GroupVersionKind)
    namespace: str = ""
    operation: str = ""
    sub_resource: str = ""
    dry_run: bool | None = None
    object: Pod | None = None


class AdmissionReview(msgspec.Struct, gc=False, rename="camel"):
    """The envelope."""

    api_version: str = ""
    kind: str = ""
    request: AdmissionRequest | None = None


class Reviewed(NamedTuple):
    """An answer, with what a log line and a metric say of it."""

    body: bytes
    uid: str
    namespace: str
    name: str
    decision: Decision
    dry_run: bool


class _Unread(msgspec.Struct, rename="camel"):
    """The envelope alone: to tell what is wrong with a review that did not decode."""

    api_version: str = ""
    kind: str = ""
    request: Any = None


class Reviewer:
    """Reviews Pods by one set of settings.

    Patches are kept by everything they depend on, the most recently used ones, so the Pods of a workload
    cost one patch between them.

    Raises:
        InvalidSettingsError: the settings' defaults cannot be used.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._defaults = read_defaults(self._settings.defaults)
        self._decode = msgspec.json.Decoder(AdmissionReview).decode
        self._patches: OrderedDict[tuple[policy.Inject, Shape], bytes] = OrderedDict()

    def review(self, body: bytes) -> Reviewed:
        """Answer one admission review.

        Raises:
            ReviewError: the bytes are no admission review of a Pod.
        """
        request = self._request(body)
        pod = request.object
        if pod is None or request.sub_resource:
            decision: Decision = Skip(Reason.NOT_A_CREATION)
        else:
            decision = policy.decide(pod, request.operation, self._defaults)
        name = pod.display_name if pod else ""
        answer = self._answer(request, decision)
        return Reviewed(answer, request.uid, request.namespace, name, decision, bool(request.dry_run))

    def operations(self, decision: Inject, pod: Pod) -> list[patch.Operation]:
        """The patch of one Pod, as objects."""
        return patch.operations(decision, patch.shape_of(pod), self._settings.run_as_user)

    def _request(self, body: bytes) -> AdmissionRequest:
        try:
            review = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _undecodable(body, error) from error
        request = review.request
        _check_envelope(review.api_version, review.kind, request)
        assert request is not None  # noqa: S101 - checked just before
        _check_kind(request.kind)
        if not request.uid:
            raise ReviewError(
                HTTPStatus.BAD_REQUEST,
                "the admission request has no uid; nothing could match the answer to it",
            )
        return request

    def _answer(self, request: AdmissionRequest, decision: Decision) -> bytes:
        uid = msgspec.json.encode(request.uid)
        match decision:
            case Inject():
                assert request.object is not None  # noqa: S101 - there is nothing to inject into otherwise
                return _ALLOWED % uid + self._patch(decision, request.object)
            case Skip(warning=str(warning)):
                return (
                    _ALLOWED % uid + b',"warnings":' + msgspec.json.encode([warning[:_MAX_WARNING]]) + b"}}"
                )
            case Skip():
                return _ALLOWED % uid + b"}}"
            case Deny():
                return _DENIED % (uid, msgspec.json.encode(_status(request, decision)))

    def _patch(self, decision: Inject, pod: Pod) -> bytes:
        """What follows the uid in an answer with a patch."""
        key = (decision, patch.shape_of(pod))
        kept = self._patches.get(key)
        if kept is None:
            encoded = msgspec.json.encode(self.operations(decision, pod))
            kept = (
                b',"patchType":"JSONPatch","patch":"' + binascii.b2a_base64(encoded, newline=False) + b'"}}'
            )
            if len(kept) <= _MAX_KEPT_BYTES:
                self._patches[key] = kept
            if len(self._patches) > _MAX_KEPT_PATCHES:
                self._patches.popitem(last=False)
        else:
            self._patches.move_to_end(key)
        return kept


_HEAD = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%b'
_ALLOWED = _HEAD + b',"allowed":true'
_DENIED = _HEAD + b',"allowed":false,"status":%b}}'


def _status(request: AdmissionRequest, decision: Deny) -> dict[str, Any]:
    pod = request.object.display_name if request.object else ""
    return {
        "code": HTTPStatus.UNPROCESSABLE_ENTITY,
        "reason": "Invalid",
        "message": f"Pod {pod}: {in_one_sentence(decision.problems)}",
    }


def _check_envelope(api_version: str, kind: str, request: object) -> None:
    if kind != "AdmissionReview":
        raise ReviewError(HTTPStatus.BAD_REQUEST, f'the body is a "{kind}", not an AdmissionReview')
    if api_version != API_VERSION:
        raise ReviewError(
            HTTPStatus.BAD_REQUEST,
            f'the AdmissionReview is of apiVersion "{api_version}"; this webhook speaks {API_VERSION}, so '
            "admissionReviewVersions of its configuration must name v1",
        )
    if request is None:
        raise ReviewError(HTTPStatus.BAD_REQUEST, "the AdmissionReview has no request")


def _check_kind(kind: GroupVersionKind) -> None:
    if (kind.group, kind.version, kind.kind) != ("", "v1", "Pod"):
        name = "/".join(filter(None, (kind.group, kind.version, kind.kind)))
        raise ReviewError(
            HTTPStatus.BAD_REQUEST,
            f'the request is about a "{name}", not a Pod of v1; the rules of the webhook configuration must '
            "name pods only",
        )


def _undecodable(body: bytes, error: Exception) -> ReviewError:
    """Why a body did not decode: because it is no JSON, no review, not about a Pod, or a malformed Pod."""
    if isinstance(error, RecursionError):
        return ReviewError(HTTPStatus.BAD_REQUEST, "the body is nested too deeply")
    try:
        envelope = msgspec.json.decode(body, type=_Unread)
        _check_envelope(envelope.api_version, envelope.kind, envelope.request)
        if isinstance(envelope.request, dict):
            _check_kind(msgspec.convert(envelope.request.get("kind", {}), GroupVersionKind))
    except ReviewError as found:
        return found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as found:
        return ReviewError(HTTPStatus.BAD_REQUEST, f"the body is no AdmissionReview: {found}")
    return ReviewError(HTTPStatus.BAD_REQUEST, f"the AdmissionReview cannot be read: {error}")
