"""The reviewer of AdmissionReviews, from bytes to bytes.

No I/O, no clock: the webhook, the command line and the tests run these very functions.
"""

import binascii
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.cache import Cache
from hazelcast_sidecar.errors import Problem, ReviewError, in_one_sentence
from hazelcast_sidecar.injection import oversized, patch, pod_decision, template_label, workload_decision
from hazelcast_sidecar.injection.oversized import Outline
from hazelcast_sidecar.injection.patch import Shape
from hazelcast_sidecar.injection.pod_decision import Decision, Deny, Inject, Reason, Restore, Skip, said
from hazelcast_sidecar.injection.workload_decision import Copy, WorkloadDecision
from hazelcast_sidecar.limits import UNCOUNTED_BYTES, has_too_many_values, shown
from hazelcast_sidecar.manifest_text.patching import Operation
from hazelcast_sidecar.model import admission_review
from hazelcast_sidecar.model.admission_review import AdmissionRequest, AdmissionReview, GroupVersionKind
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.workload import KINDS, Workload, WorkloadKind
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec
from hazelcast_sidecar.spec.settings import Settings

_Key = tuple[SidecarSpec, str, str, tuple[str, ...], Shape]
"""Everything that an answer with a member depends on: the decision except for its constant reason."""

_KEPT_ANSWERS = 1024
_KEPT_ANSWERS_BYTES = 16 * 1024 * 1024


class Reviewed(NamedTuple):
    """An answer, with the details for a log line and a metric."""

    body: bytes
    uid: str
    kind: str
    namespace: str
    name: str
    decision: Decision | WorkloadDecision
    dry_run: bool


class Reviewer:
    """Reviewer of Pods and workloads with one set of settings.

    Answers with a patch for a Pod are cached by everything they depend on, so the Pods of a workload need
    one patch together.

    Raises:
        InvalidSettingsError: the settings' defaults are invalid.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._decode_pod = msgspec.json.Decoder(AdmissionReview[Pod]).decode
        self._decode_workload = msgspec.json.Decoder(AdmissionReview[Workload]).decode
        self._decode_whole = msgspec.json.Decoder(AdmissionReview[dict[str, Any]]).decode
        self._decode_outline = msgspec.json.Decoder(AdmissionReview[Outline]).decode
        self.use(settings or Settings())

    def use(self, settings: Settings) -> None:
        """Review with these settings from now on.

        Raises:
            InvalidSettingsError: their defaults are invalid; the previous ones stay in use.
        """
        self._defaults = DefaultSpecs(settings)
        self._run_as_user = settings.run_as_user
        self._kept = Cache[_Key, bytes](_KEPT_ANSWERS, _KEPT_ANSWERS_BYTES)

    def review_pod(self, body: bytes) -> Reviewed:
        """Answer one admission review of a Pod.

        Raises:
            ReviewError: the bytes are not an admission review of a Pod.
        """
        if len(body) > UNCOUNTED_BYTES and has_too_many_values(body):
            outline = admission_review.read(body, self._decode_outline, _check_pod)
            return _unread(outline, "Pod", oversized.decide_pod(outline))
        request = admission_review.read(body, self._decode_pod, _check_pod)
        pod = request.object
        if pod is None or request.sub_resource:
            decision: Decision = Skip(Reason.NOT_A_CREATION)
        else:
            decision = pod_decision.decide(pod, request.operation, self._defaults.of(request.namespace))
        name = pod.display_name if pod else ""
        match decision:
            case Inject():
                assert pod is not None  # noqa: S101 - there is nothing to inject into otherwise
                rest = self._injection(decision, pod)
            case Restore(warnings=warnings, reason=reason):
                assert pod is not None  # noqa: S101 - as above
                operations = patch.restore_operations(decision, pod, self._run_as_user)
                audit = {**_audit(reason), "group": decision.group}
                rest = admission_review.allowed(audit, warnings, _encoded(operations))
            case Skip(reason, warnings):
                rest = admission_review.allowed(_audit(reason), warnings)
            case Deny(reason, problems):
                rest = admission_review.denied(_audit(reason), _message("Pod", name, problems))
        answer = admission_review.answer(request.uid, rest)
        return Reviewed(answer, request.uid, "Pod", request.namespace, name, decision, bool(request.dry_run))

    def review_workload(self, body: bytes) -> Reviewed:
        """Answer one admission review of a workload.

        Raises:
            ReviewError: the bytes are not an admission review of a known kind of workload.
        """
        if len(body) > UNCOUNTED_BYTES and has_too_many_values(body):
            outline = admission_review.read(body, self._decode_outline, _check_workload)
            return _unread(outline, outline.kind.kind, oversized.decide_workload(outline))
        request = admission_review.read(body, self._decode_workload, _check_workload)
        kind = KINDS[request.kind.group, request.kind.kind]
        workload = request.object
        if workload is None or request.sub_resource or request.operation not in {"CREATE", "UPDATE"}:
            decision: WorkloadDecision = Skip(Reason.NOT_A_WRITE)
        else:
            defaults = self._defaults.of(request.namespace)
            decision = workload_decision.decide(
                kind, workload, request.old_object, defaults, lambda: self._differs(kind, body)
            )
        name = workload.display_name if workload else ""
        match decision:
            case Copy(copying=copying, labelling=labelling, reason=reason):
                assert workload is not None  # noqa: S101 - there is nothing to copy otherwise
                operations = patch.copy_operations(kind, workload, copying, labelling)
                rest = admission_review.allowed(_audit(reason), said(decision), _encoded(operations))
            case Skip(reason=reason):
                rest = admission_review.allowed(_audit(reason), said(decision))
            case Deny(reason, problems):
                rest = admission_review.denied(_audit(reason), _message(kind.name, name, problems))
        answer = admission_review.answer(request.uid, rest)
        return Reviewed(
            answer, request.uid, kind.name, request.namespace, name, decision, bool(request.dry_run)
        )

    def _differs(self, kind: WorkloadKind, body: bytes) -> bool:
        """Tell whether the Pod template in a review is another one than is stored.

        Only this reads whole templates: of the workloads that ask, those that were never labelled.
        """
        request = admission_review.read(body, self._decode_whole, _check_workload)
        if request.object is None or request.old_object is None:
            return True
        if kind.name == "Job":
            return False  # its template is immutable
        return template_label.differs(kind, request.object, request.old_object)

    def operations(self, decision: Inject, pod: Pod) -> list[Operation]:
        """Return the patch of one Pod, as objects."""
        return patch.operations(decision, _shape(decision, pod), self._run_as_user)

    def _injection(self, decision: Inject, pod: Pod) -> bytes:
        """Encode the rest of an answer with a member, after its uid."""
        key = (
            decision.spec,
            decision.group,
            decision.service_account,
            decision.warnings,
            _shape(decision, pod),
        )
        kept = self._kept.get(key)
        if kept is None:
            audit = {**_audit(decision.reason), "group": decision.group}
            kept = admission_review.allowed(
                audit, decision.warnings, _encoded(self.operations(decision, pod))
            )
            self._kept.put(key, kept)
        return kept


def _shape(decision: Inject, pod: Pod) -> patch.Shape:
    return patch.shape_of(pod, decision.spec.pull_secrets)


def _unread(request: AdmissionRequest[Outline], kind: str, decision: Skip | Deny) -> Reviewed:
    """Answer a review of an object that was not decoded."""
    name = request.object.display_name if request.object else ""
    match decision:
        case Skip(reason, warnings):
            rest = admission_review.allowed(_audit(reason), warnings)
        case Deny(reason, problems):
            rest = admission_review.denied(_audit(reason), _message(kind, name, problems))
    answer = admission_review.answer(request.uid, rest)
    return Reviewed(answer, request.uid, kind, request.namespace, name, decision, bool(request.dry_run))


def _encoded(operations: list[Operation]) -> str:
    return binascii.b2a_base64(msgspec.json.encode(operations), newline=False).decode()


def _audit(reason: Reason) -> dict[str, str]:
    return {"outcome": reason}


def _message(kind: str, name: str, problems: Sequence[Problem]) -> str:
    return f"{kind} {shown(name)}: {in_one_sentence(problems)}"


def _check_pod(kind: GroupVersionKind) -> None:
    if (kind.group, kind.version, kind.kind) != ("", "v1", "Pod"):
        raise ReviewError(
            HTTPStatus.BAD_REQUEST,
            f'the request is about a "{shown(str(kind))}", not a Pod of v1; the rules of the webhook '
            "configuration must name pods only",
        )


def _check_workload(kind: GroupVersionKind) -> None:
    if kind.version != "v1" or (kind.group, kind.kind) not in KINDS:
        known = ", ".join(name for _, name in KINDS)
        raise ReviewError(
            HTTPStatus.BAD_REQUEST,
            f'the request is about a "{shown(str(kind))}", not a known workload of v1 '
            f"({known}); the rules of the webhook configuration must name no others",
        )
