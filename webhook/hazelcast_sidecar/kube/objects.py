"""Kubernetes objects as far as they are read: metadata, owners, and the API's path of each kind."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.limits import MAX_PORT_LIST
from hazelcast_sidecar.names import MESH_PORTS, PREFIX
from hazelcast_sidecar.owners import OwnerReference, controller_of

_KNOWN = (PREFIX, "openshift.io/")

JsonObject = dict[str, Any]
"""An object as the API has it, or another JSON object."""

_MAX_TEXT, _MAX_LABELS, _MAX_OWNERS = 16 * 1024, 256, 100
"""Bounds on one object's metadata: characters of labels and annotations together, labels, owners."""


MAX_OWNER_TEXT = 1024
"""Characters of an owner reference: groups and names have at most 253, all else is shorter."""


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """The metadata that the controller reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    known_annotations: dict[str, str] = msgspec.field(default_factory=dict, name="annotations")
    """Only those that are read: with the others a list of ten thousand Pods would be mostly text."""
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: str | None = None

    def __post_init__(self) -> None:
        """Drop annotations that are not read.

        Raises:
            ValueError: the rest is more than any honest object has. Many objects are in memory at a time.
        """
        known = self.known_annotations
        if known:
            known = {key: text for key, text in known.items() if _is_read(key, text)}
            self.known_annotations = known
        texts = (*self.labels, *self.labels.values(), *known, *known.values())
        if len(self.labels) > _MAX_LABELS or sum(map(len, texts)) > _MAX_TEXT:
            raise ValueError(
                f"it has more than {_MAX_LABELS} labels or {_MAX_TEXT} characters in them and ours"
            )
        if len(self.owner_references) > _MAX_OWNERS:
            first = sorted(self.owner_references, key=lambda owner: not owner.controller)
            self.owner_references = tuple(first[:_MAX_OWNERS])
        if any(map(_is_too_long, self.owner_references)):
            raise ValueError("an owner reference is longer than that of any object")


def _is_read(key: str, text: str) -> bool:
    return key.startswith(_KNOWN) or (key in MESH_PORTS and len(text) <= MAX_PORT_LIST)


def _is_too_long(owner: OwnerReference) -> bool:
    return len(owner.api_version) + len(owner.kind) + len(owner.name) + len(owner.uid) > MAX_OWNER_TEXT


def owner_of(pod: Metadata) -> OwnerReference:
    """Return what made a Pod; a Pod that nothing made belongs to itself."""
    owner = controller_of(pod.owner_references)
    return msgspec.structs.replace(owner, controller=None) if owner else pod_reference(pod.name, pod.uid)


_VERSION_DIGITS = 40


def is_older(version: str, other: str) -> bool:
    """Tell whether a version precedes another one of the same kind; false if one is not a number.

    Source: Kubernetes documentation, "API Concepts" (resource versions): from 1.35 on they are numbers that
    grow, as they had long been.
    """
    both = (version, other)
    if not all(each.isascii() and each.isdecimal() and len(each) <= _VERSION_DIGITS for each in both):
        return False
    return int(version) < int(other)


def pod_reference(name: str, uid: str) -> OwnerReference:
    """Return a reference to a Pod as an owner."""
    return OwnerReference(api_version="v1", kind="Pod", name=name, uid=uid)


class Partial(msgspec.Struct, gc=False):
    """An object as PartialObjectMetadata."""

    metadata: Metadata


class Kind(NamedTuple):
    """A kind of objects, and its path in the API."""

    name: str
    path: str
    plural: str

    def collection(self, namespace: str = "") -> str:
        """Return the path of all objects, in one namespace or in all."""
        return (
            f"{self.path}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.path}/{self.plural}"
        )


_RBAC = "/apis/rbac.authorization.k8s.io/v1"


RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
"""A field selector: Pods that have not ended."""


POD = Kind("Pod", "/api/v1", "pods")


EVENT = Kind("Event", "/api/v1", "events")


NAMESPACE = Kind("Namespace", "/api/v1", "namespaces")


SECRET = Kind("Secret", "/api/v1", "secrets")


ENDPOINT_SLICE = Kind("EndpointSlice", "/apis/discovery.k8s.io/v1", "endpointslices")


WEBHOOK_CONFIGURATION = Kind(
    "MutatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"
)

MUTATING_POLICY = Kind(
    "MutatingAdmissionPolicy", "/apis/admissionregistration.k8s.io/v1", "mutatingadmissionpolicies"
)
MUTATING_BINDING = Kind(
    "MutatingAdmissionPolicyBinding",
    "/apis/admissionregistration.k8s.io/v1",
    "mutatingadmissionpolicybindings",
)


KEPT_KINDS = {
    kind.name: kind
    for kind in (
        Kind("ConfigMap", "/api/v1", "configmaps"),
        Kind("Service", "/api/v1", "services"),
        Kind("PodDisruptionBudget", "/apis/policy/v1", "poddisruptionbudgets"),
        Kind("NetworkPolicy", "/apis/networking.k8s.io/v1", "networkpolicies"),
        Kind("RoleBinding", _RBAC, "rolebindings"),
    )
}
"""The kinds of objects that the controller reconciles for a group."""
