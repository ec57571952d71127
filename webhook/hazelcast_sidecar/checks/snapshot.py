"""What was read of a cluster, once; objects as the API has them. Every check is a function of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.kube.objects import JsonObject, Metadata
from hazelcast_sidecar.model.pod import Pod

_NOT_ASKED = Unread("nothing asked for it")


class DryRun(NamedTuple):
    """A Pod that asks for a member, created for show."""

    namespace: str
    seconds: tuple[float, ...] = ()
    """How long each answer took."""
    pod: JsonObject | None = None
    """As it would be stored; None where it was refused."""
    refusal: str = ""


class Right(NamedTuple):
    """One verb on one kind of objects."""

    verb: str
    group: str
    resource: str
    name: str = ""
    own: bool = False
    """In the installation's own namespace only."""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource} {self.name}".rstrip()


class ObjectName(NamedTuple):
    """Which object."""

    kind: str
    namespace: str
    name: str


class PodWithoutMember(NamedTuple):
    """A Pod that has an annotation of ours and no record, for all that the same owner made."""

    metadata: Metadata
    pod: Pod | Unread
    alike: int
    """How many there are, this one included."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A cluster at one moment. `Unread` stands where reading was refused, None where there is no object."""

    now: datetime
    namespace: str
    """The installation's own."""

    version: JsonObject | Unread = _NOT_ASKED
    nodes: list[JsonObject] | Unread = _NOT_ASKED

    configuration: JsonObject | Unread | None = _NOT_ASKED
    mutating_policy: JsonObject | Unread | None = _NOT_ASKED
    """By which the API server injects without a webhook."""
    mutating_binding: JsonObject | Unread | None = _NOT_ASKED
    webhook: JsonObject | Unread | None = _NOT_ASKED
    """The Deployments."""
    controller: JsonObject | Unread | None = _NOT_ASKED
    endpoints: list[JsonObject] | Unread = _NOT_ASKED
    """The EndpointSlices of the webhook's Service."""
    lease: JsonObject | Unread | None = _NOT_ASKED
    settings: JsonObject | Unread | None = _NOT_ASKED
    leaf: bytes | Unread | None = _NOT_ASKED
    """The certificate chain in the Secret, PEM; the key beside it is not kept."""
    served: bytes | Unread | None = _NOT_ASKED
    """What the server shows, PEM; None where it is no URL and so cannot be asked from outside."""
    dry_run: DryRun | Unread = _NOT_ASKED
    missing_permissions: list[Right] | Unread = _NOT_ASKED
    """What the controller may not do of what it needs."""

    namespaces: Mapping[str, Metadata] | Unread = _NOT_ASKED
    pods: list[Metadata] | Unread = _NOT_ASKED
    """Those with an annotation of ours, as long as they have not ended."""
    running: frozenset[str] | Unread = _NOT_ASKED
    """The uids of those injected whose containers were started."""
    without_member: list[PodWithoutMember] | Unread = _NOT_ASKED
    existing_objects: Mapping[ObjectName, Metadata | Unread | None] | Unread = _NOT_ASKED
    """What stands under the name of each object that a group needs."""
    unmet_requests: Mapping[ObjectName, Metadata | Unread | None] | Unread = _NOT_ASKED
    """The object of the name of each that a group asks for and must not have."""
    services: Mapping[tuple[str, str], JsonObject] | Unread = _NOT_ASKED
    """Our headless ones, by namespace and name."""
    group_endpoints: list[JsonObject] | Unread = _NOT_ASKED
    policies: list[JsonObject] | Unread = _NOT_ASKED
    """NetworkPolicies of namespaces with injected Pods."""

    admission_api: JsonObject | Unread = _NOT_ASKED
    configurations: list[JsonObject] | Unread = _NOT_ASKED
    """All MutatingWebhookConfigurations."""
    denied_permissions: list[Right] | Unread = _NOT_ASKED
    """What whoever asks may not create of what an installation consists of."""
