"""The decision about an object that has too many elements to be decoded.

Only whether it asks for a member is read: an object that does not ask is admitted, however large it is.
"""

import msgspec

from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection.pod_decision import Deny, Reason, Skip
from hazelcast_sidecar.limits import MAX_VALUES
from hazelcast_sidecar.model.admission_review import AdmissionRequest
from hazelcast_sidecar.model.opt_in import DECLINED, asked
from hazelcast_sidecar.names import COPIED, INJECT


class _Annotations(msgspec.Struct, gc=False, rename={"inject": INJECT, "copied": COPIED}):
    """The annotations that decide whether there is a member; decoders skip all others."""

    inject: str | None = None
    copied: str | None = None


class _Labels(msgspec.Struct, gc=False, rename={"inject": INJECT}):
    """The label that decides, too."""

    inject: str | None = None


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    generate_name: str = ""
    annotations: _Annotations | None = None
    labels: _Labels | None = None
    deletion_timestamp: str | None = None


class _Template(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None


class _JobSpec(msgspec.Struct, gc=False):
    template: _Template | None = None


class _JobTemplate(msgspec.Struct, gc=False):
    spec: _JobSpec | None = None


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    template: _Template | None = None
    job_template: _JobTemplate | None = None


class Outline(msgspec.Struct, gc=False):
    """A Pod or a workload, as far as needed to see whether it asks for a member."""

    metadata: _Metadata
    spec: _Spec

    @property
    def display_name(self) -> str:
        """Return the name, or the beginning of the name that the API server will generate."""
        return self.metadata.name or f"{self.metadata.generate_name}*"

    @property
    def asked(self) -> str | None:
        """Return by what it asks or declines itself."""
        return asked(*_texts(self.metadata))

    @property
    def has_members(self) -> bool:
        """Tell whether a workload's Pods get a member, or its annotations would be copied or removed."""
        job = self.spec.job_template.spec if self.spec.job_template else None
        template = job.template if job else self.spec.template
        own = self.metadata.annotations or _Annotations()
        inject = asked(*_texts((template.metadata if template else None) or _Metadata()))
        inject = own.inject if inject is None else inject  # the template's counts, as in `propagation.plan`
        return inject not in (None, DECLINED) or own.copied is not None


def _texts(metadata: _Metadata) -> tuple[dict[str, str], dict[str, str]]:
    """Return the annotation and the label that decide, as `opt_in` reads them."""
    by_annotation = metadata.annotations.inject if metadata.annotations else None
    by_label = metadata.labels.inject if metadata.labels else None
    return (
        {} if by_annotation is None else {INJECT: by_annotation},
        {} if by_label is None else {INJECT: by_label},
    )


_PROBLEM = Problem(
    "$",
    f"has more than {MAX_VALUES:,} elements (list items and fields, including metadata), too many for "
    f"an object whose Pods get a member; make it smaller, or remove {INJECT}",
)


def decide_pod(request: AdmissionRequest[Outline]) -> Skip | Deny:
    """Decide about a Pod, as `pod_decision.decide` would."""
    pod = request.object
    if pod is None or request.sub_resource or request.operation != "CREATE":
        return Skip(Reason.NOT_A_CREATION)
    if pod.asked is None:
        return Skip(Reason.NOT_REQUESTED)
    return Skip(Reason.DECLINED) if pod.asked == DECLINED else Deny(Reason.TOO_LARGE, [_PROBLEM])


def decide_workload(request: AdmissionRequest[Outline]) -> Skip | Deny:
    """Decide about a workload, as `workload_decision.decide` would; one that asked before is admitted."""
    now, before = request.object, request.old_object
    if now is None or request.sub_resource or request.operation not in {"CREATE", "UPDATE"}:
        return Skip(Reason.NOT_A_WRITE)
    if now.metadata.deletion_timestamp:
        return Skip(Reason.DELETING)
    if not now.has_members:
        return Skip(Reason.NOT_REQUESTED)
    if before is not None and before.has_members:
        return Skip(Reason.NO_WORSE, (f"no Pod can be created: {_PROBLEM}",))
    return Deny(Reason.TOO_LARGE, [_PROBLEM])
