"""The parts of a workload that decide about its Pods: its annotations, its Pod template, how it rolls out.

Source: Kubernetes API reference, apps/v1 and batch/v1.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.limits import MAX_ANNOTATIONS
from hazelcast_sidecar.model.pod import Int64, Named, Pod, PodMetadata, PodOwner, Spec
from hazelcast_sidecar.owners import controller_of
from hazelcast_sidecar.untrusted import UndecodableError, decoder

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class WorkloadKind(NamedTuple):
    """A kind of workload."""

    group: str
    name: str
    template: tuple[str, ...] = ("spec", "template")
    """The path of its Pod template."""


KINDS = {
    (kind.group, kind.name): kind
    for kind in (
        WorkloadKind("apps", "Deployment"),
        WorkloadKind("apps", "StatefulSet"),
        WorkloadKind("apps", "DaemonSet"),
        WorkloadKind("apps", "ReplicaSet"),
        WorkloadKind("batch", "Job"),
        WorkloadKind("batch", "CronJob", ("spec", "jobTemplate", "spec", "template")),
    )
}
"""Every kind of workload with a Pod template, by API group and name; all of version v1."""


def names_its_group(kind: WorkloadKind, name: str) -> bool:
    """Tell whether the group of its Pods is known from a workload, as its name is.

    Each Job of a CronJob has a name of its own, and so has a workload whose name the API server generates.

    Args:
        kind: its kind.
        name: as it was sent; empty if it is to be generated.
    """
    return kind.name != "CronJob" and name != ""


class RollingUpdate(msgspec.Struct, gc=False, rename="camel"):
    """The number of Pods that a rollout may take down at a time: a number, or a percentage as text."""

    max_unavailable: Int64 | str | None = None


class Strategy(msgspec.Struct, gc=False, rename="camel"):
    """The strategy for replacing Pods."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class Template(msgspec.Struct, gc=False):
    """A Pod template."""

    spec: Spec
    metadata: PodMetadata | None = None

    @property
    def annotations(self) -> dict[str, str]:
        """Return its annotations; empty if it has none."""
        return (self.metadata.annotations if self.metadata else None) or {}

    @property
    def labels(self) -> dict[str, str]:
        """Return its labels; empty if it has none."""
        return (self.metadata.labels if self.metadata else None) or {}


class PlannedPod(Pod, gc=False):
    """A Pod that a workload will create."""

    claim_names: tuple[str, ...] = ()


class _ClaimTemplate(msgspec.Struct, gc=False):
    metadata: Named | None = None


class _JobSpec(msgspec.Struct, gc=False):
    template: Template | None = None


class _JobTemplate(msgspec.Struct, gc=False):
    spec: _JobSpec | None = None
    metadata: PodMetadata | None = None


class WorkloadSpec(msgspec.Struct, gc=False, rename="camel"):
    """The spec, with the fields of all kinds."""

    replicas: Int64 | None = None
    strategy: Strategy | None = None
    update_strategy: Strategy | None = None
    template: Template | None = None
    job_template: _JobTemplate | None = None
    volume_claim_templates: list[_ClaimTemplate] | None = None


class _Managed(msgspec.Struct, gc=False, rename=lambda name: f"f:{name}"):
    """A part of the fields that one manager owns, on the way to the template's annotations and labels.

    The API server writes only objects there; other values are rejected.
    """


class _Leaf(msgspec.Struct, gc=False):
    """One annotation or label that the manager owns."""


class _ManagedMetadata(_Managed, gc=False):
    annotations: dict[str, _Leaf] | None = None
    labels: dict[str, _Leaf] | None = None


class _ManagedTemplate(_Managed, gc=False):
    metadata: _ManagedMetadata | None = None


class _ManagedJobSpec(_Managed, gc=False):
    template: _ManagedTemplate | None = None


class _ManagedJobTemplate(_Managed, gc=False):
    spec: _ManagedJobSpec | None = None


class _ManagedSpec(_Managed, gc=False, rename={"template": "f:template", "job_template": "f:jobTemplate"}):
    template: _ManagedTemplate | None = None
    job_template: _ManagedJobTemplate | None = None


class _ManagedObject(_Managed, gc=False):
    spec: _ManagedSpec | None = None


class _ManagedFields(msgspec.Struct, gc=False, rename={"fields": "fieldsV1"}):
    fields: _ManagedObject | None = None

    @property
    def of_template(self) -> _ManagedMetadata:
        """Return what the manager owns of the Pod template's metadata."""
        spec = self.fields.spec if self.fields else None
        if spec is None:
            return _ManagedMetadata()
        job = spec.job_template.spec if spec.job_template else None
        template = job.template if job else spec.template
        return (template.metadata if template else None) or _ManagedMetadata()


class WorkloadMetadata(PodMetadata, gc=False, rename="camel"):
    """The workload's metadata."""

    deletion_timestamp: str | None = None
    managed_fields: list[_ManagedFields] | None = None


class Workload(msgspec.Struct, gc=False):
    """A workload as far as injection reads it."""

    metadata: WorkloadMetadata
    spec: WorkloadSpec

    @property
    def template(self) -> Template | None:
        """Return its Pod template; None if it has none, which the API server rejects."""
        if self.spec.job_template is not None:
            return self.spec.job_template.spec.template if self.spec.job_template.spec else None
        return self.spec.template

    @property
    def job_annotations(self) -> dict[str, str]:
        """Return the annotations that a CronJob gives its Jobs; empty if it has none."""
        job = self.spec.job_template
        return (job.metadata.annotations if job and job.metadata else None) or {}

    @property
    def strategy(self) -> Strategy:
        """Return how its Pods are replaced."""
        return self.spec.strategy or self.spec.update_strategy or Strategy()

    @property
    def display_name(self) -> str:
        """Return the name, or the beginning of the name that the API server will generate."""
        return self.metadata.name or f"{self.metadata.generate_name}*"

    def is_controlled(self) -> bool:
        """Tell whether another workload owns it, as a Deployment owns its ReplicaSets."""
        return controller_of(self.metadata.owner_references) is not None


def as_pod(
    kind: WorkloadKind,
    workload: Workload,
    template: Template,
    annotations: dict[str, str],
    labels: dict[str, str] | None,
) -> PlannedPod:
    """Return the Pod that a workload will create from its template, with this metadata."""
    own = workload.metadata
    owner = PodOwner(kind.name, own.name or own.generate_name.rstrip("-"), controller=True)
    metadata = PodMetadata(
        generate_name=f"{own.name}-", annotations=annotations, labels=labels, owner_references=[owner]
    )
    claims = [each.metadata for each in workload.spec.volume_claim_templates or () if each.metadata]
    return PlannedPod(metadata, template.spec, tuple(claim.name for claim in claims))


class WrittenByUsers(NamedTuple):
    """The annotations and labels of a Pod template that users wrote."""

    annotations: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()


def written_by_users(kind: WorkloadKind, workload: Workload) -> WrittenByUsers:
    """Return the annotations and labels of the Pod template that users wrote there, and would miss.

    What a webhook adds has no such owner; the fields of server-side apply and of updates are in
    `managedFields`, those of client-side apply in an annotation of kubectl.
    Source: Kubernetes documentation, "Server-Side Apply", field management.
    """
    annotations: set[str] = set()
    labels: set[str] = set()
    for entry in workload.metadata.managed_fields or ():
        owned = entry.of_template
        annotations.update(key.removeprefix("f:") for key in owned.annotations or ())
        labels.update(key.removeprefix("f:") for key in owned.labels or ())
    applied = (workload.metadata.annotations or {}).get(LAST_APPLIED)
    if applied is not None:
        # Only kubectl should write it, yet anyone can.
        with suppress(UndecodableError):
            metadata = _at(_decode_applied(applied), (*kind.template, "metadata"))
            annotations.update(_at(metadata, ("annotations",)))
            labels.update(_at(metadata, ("labels",)))
    return WrittenByUsers(frozenset(annotations), frozenset(labels))


_decode_applied = decoder(dict[str, Any], MAX_ANNOTATIONS)  # the API server takes no longer one


def _at(document: Any, path: tuple[str, ...] | list[str]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the mapping at a path; empty if there is none."""
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
