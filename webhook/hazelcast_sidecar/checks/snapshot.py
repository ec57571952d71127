"""A snapshot of a cluster, read once, with objects as the API has them; every check is a function of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import NamedTuple

from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.kube.objects import JsonObject, Metadata
from hazelcast_sidecar.kube.permissions import Right
from hazelcast_sidecar.model.disruption import Autoscaler, DisruptionBudget
from hazelcast_sidecar.model.pod import Pod
from hazelcast_sidecar.model.rolling_workload import RollingWorkload

_NOT_ASKED = Unread("it was not needed")


class DryRun(NamedTuple):
    """The result of creating a Pod that asks for a member, as a dry run."""

    namespace: str
    seconds: tuple[float, ...] = ()
    """The time of each answer."""
    pod: JsonObject | None = None
    """As it would be stored; None if it was refused."""
    refusal: str = ""


class ObjectName(NamedTuple):
    """The kind, namespace and name of an object."""

    kind: str
    namespace: str
    name: str

    @property
    def argument(self) -> str:
        """Return it as kubectl takes it, quoted for a shell: a name may be any text."""
        return quote(f"{self.kind.lower()}/{self.name}")


class PodWithoutMember(NamedTuple):
    """A Pod with an annotation of ours but no status annotation, standing for all Pods of the same owner."""

    metadata: Metadata
    pod: Pod | Unread
    alike: int
    """How many such Pods the owner has, including this one."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A cluster at one moment. `Unread` is for what could not be read, None for what does not exist."""

    now: datetime
    namespace: str
    """The installation's namespace."""

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
    """The certificate chain in the Secret (PEM); the key beside it is not kept."""
    served: bytes | Unread | None = _NOT_ASKED
    """The certificate that the server presents (PEM); None without a URL to reach it from outside."""
    dry_run: DryRun | Unread = _NOT_ASKED
    missing_permissions: list[Right] | Unread = _NOT_ASKED
    """Permissions that the controller needs and does not have."""

    namespaces: Mapping[str, Metadata] | Unread = _NOT_ASKED
    pods: list[Metadata] | Unread = _NOT_ASKED
    """Those with an annotation of ours, unless they have ended."""
    running: frozenset[str] | Unread = _NOT_ASKED
    """The uids of running injected Pods."""
    without_member: list[PodWithoutMember] | Unread = _NOT_ASKED
    existing_objects: Mapping[ObjectName, Metadata | Unread | None] | Unread = _NOT_ASKED
    """The existing object for each name that a group needs."""
    unmet_requests: Mapping[ObjectName, Metadata | Unread | None] | Unread = _NOT_ASKED
    """The existing object for each name that a group asks for and must not have."""
    services: Mapping[tuple[str, str], JsonObject] | Unread = _NOT_ASKED
    """Headless Services of groups, by namespace and name."""
    group_endpoints: list[JsonObject] | Unread = _NOT_ASKED
    policies: list[JsonObject] | Unread = _NOT_ASKED
    """NetworkPolicies of namespaces with injected Pods."""

    workloads: Mapping[ObjectName, RollingWorkload | Unread | None] | Unread = _NOT_ASKED
    """The workloads of groups that have rollouts."""
    autoscalers: Mapping[ObjectName, Autoscaler | Unread] | Unread = _NOT_ASKED
    """HorizontalPodAutoscalers of namespaces with injected Pods."""
    budgets: Mapping[ObjectName, DisruptionBudget | Unread] | Unread = _NOT_ASKED
    """PodDisruptionBudgets of namespaces with injected Pods."""
    other_namespaces: Unread | None = None
    """Why only the Pods of one namespace were read; None: those of all were."""

    admission_api: JsonObject | Unread = _NOT_ASKED
    configurations: list[JsonObject] | Unread = _NOT_ASKED
    """All MutatingWebhookConfigurations."""
    denied_permissions: list[Right] | Unread = _NOT_ASKED
    """Parts of an installation that the user may not create."""
