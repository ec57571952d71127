"""Objects that the Pods of a group need, from their status annotations: ConfigMap, headless Service and more.

They are the same for the controller, which watches injected Pods, and for users who apply them.
"""

import re
from collections.abc import Callable, Iterable
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import (
    CONFIG_KEY,
    CONTROLLER_LABELS,
    DISCOVERY,
    GROUP,
    NAMESPACE_NAME,
    PLACED_CONFIG_KEY,
    PLACED_POD_CONFIG_KEY,
    POD_CONFIG_KEY,
    PORT_NAME,
    PREFIX,
    SECURITY_KEY,
    resource_name,
)
from hazelcast_sidecar.text import some_of

HAZELCAST_YAML, _ADVANCED_NETWORK = (
    files("hazelcast_sidecar.group_objects").joinpath(name).read_text(encoding="utf-8")
    for name in ("hazelcast.yaml", "advanced-network.yaml")
)
"""The member's configuration file; part of the program like its code."""

POD_YAML = re.sub(r"^  network:\n(?:    .*\n|\n)+", _ADVANCED_NETWORK, HAZELCAST_YAML, flags=re.MULTILINE)
"""The same for members whose clients are in their own Pod; it differs in one section."""

_PLACE = """
  # The node or zone that this member runs on, for PLACEMENT_AWARE partition groups: no entry has its backup
  # on the node, or in the zone, where it is itself.
  member-attributes:
    hazelcast.partition.group.placement:
      type: string
      value: ${hazelcast.sidecar.place}
"""

CONFIGURATIONS = {
    CONFIG_KEY: HAZELCAST_YAML,
    POD_CONFIG_KEY: POD_YAML,
    PLACED_CONFIG_KEY: HAZELCAST_YAML + _PLACE,
    PLACED_POD_CONFIG_KEY: POD_YAML + _PLACE,
}
"""Every configuration file that a member may read, by its key in the group's ConfigMap."""

JAVA_SECURITY = """\
# A Pod may start before the DNS knows its group: the JVM must not cache a failed look-up for 10 s. The
# option -Dsun.net.inetaddr.negative.ttl would have no effect, as the JDK's own file sets this property.
networkaddress.cache.negative.ttl=0
"""
"""The member's security properties; a JVM reads this setting from nowhere else."""

OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
"""The label of every object that the controller manages; an object without it belongs to others."""

OURS_SELECTOR = ",".join([GROUP, *(f"{key}={value}" for key, value in OURS.items())])
"""A label selector for the objects of all groups."""

_LABELS = {"app.kubernetes.io/name": "hazelcast", **OURS}

_LAST_PORT = 65535
_RBAC = "rbac.authorization.k8s.io"


class Requirements(NamedTuple):
    """Requirements of the Pods of one group together; during a rollout old and new Pods may differ."""

    config_map: bool
    ports: tuple[int, ...]
    """Ports of the Pods whose members find each other by DNS."""
    service_accounts: tuple[str, ...]
    """ServiceAccounts of the Pods whose members ask the Kubernetes API."""
    disruption_budget: bool
    closed_ports: tuple[int, ...]
    """Ports of all members, if other Pods are kept from them."""
    asked_ports: tuple[int, ...] = ()
    """Those of them at which members can be asked for their view of the cluster."""


SCALABLE = frozenset(
    (
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("v1", "ReplicationController"),
    )
)
"""apiVersion and kind of the workloads whose Pods a PodDisruptionBudget can count.

It takes the number of Pods from the scale of their controller. If one Pod's controller has no scale, such as
a Job or a DaemonSet, or if a Pod has no controller, it allows no eviction at all. Source: Kubernetes
documentation, "Specifying a Disruption Budget for your Application", arbitrary workloads and selectors;
`getExpectedScale` in pkg/controller/disruption.
"""


class GroupWorkload(NamedTuple):
    """A workload that has Pods in a group."""

    identity: str
    """The same for all of its Pods, the old and the new ones of a rollout."""
    name: str
    """The name for people, such as Deployment/shop."""
    scalable: bool
    """Whether it is of a kind in SCALABLE."""


class Participant(NamedTuple):
    """A workload in a group, and the status of some of its Pods."""

    workload: GroupWorkload
    status: Status


class Unmet(NamedTuple):
    """An object that workloads of a group request, and that is not created."""

    kind: str
    askers: frozenset[str]
    """The identities of the workloads that request it."""
    reason: str
    """Why it is not created, and what to do."""


class _OnRequest(NamedTuple):
    """A kind of objects that is created only on request, and that selects all Pods of the group."""

    kind: str
    annotation: str
    is_asked_for: Callable[[Status], bool]
    needs_scale: bool


_ON_REQUEST = (
    _OnRequest("PodDisruptionBudget", "disruption-budget", lambda s: s.disruption_budget, needs_scale=True),
    _OnRequest("NetworkPolicy", "network-policy", lambda s: s.network_policy, needs_scale=False),
)

_SHOWN = 3


def requirements_of(statuses: Iterable[Status]) -> Requirements:
    """Return the requirements of Pods of one Deployment, from their statuses."""
    return requirements_of_group([Participant(_ONE, status) for status in statuses])


_ONE = GroupWorkload(identity="", name="", scalable=True)


def requirements_of_group(participants: Iterable[Participant]) -> Requirements:
    """Return the requirements of a group's workloads together.

    What a Pod's own member needs to find the others is created as soon as one asks for it. What restricts all
    Pods of the group is created only if each workload asks for it: a workload that joins must not close the
    ports of another, nor keep its Pods from being evicted.
    """
    listed = list(participants)
    statuses = [participant.status for participant in listed]
    refused = {unmet.kind for unmet in unmet_requests(listed)}
    granted = {
        each.kind
        for each in _ON_REQUEST
        if each.kind not in refused and any(each.is_asked_for(status) for status in statuses)
    }
    closed = {status.ports.members for status in statuses} if "NetworkPolicy" in granted else set()
    return Requirements(
        config_map=any(not status.config for status in statuses),
        ports=tuple(sorted({status.ports.members for status in statuses if status.discovery == "dns"})),
        service_accounts=tuple(
            sorted({status.service_account for status in statuses if status.discovery == "api"})
        ),
        disruption_budget="PodDisruptionBudget" in granted,
        closed_ports=tuple(sorted(closed)),
        asked_ports=tuple(sorted(closed & {status.ports.probes for status in statuses})),
    )


def unmet_requests(participants: Iterable[Participant]) -> list[Unmet]:
    """List the objects that some workloads of a group request and do not get."""
    listed = list(participants)
    workloads = {participant.workload.identity: participant.workload for participant in listed}
    found = []
    for each in _ON_REQUEST:
        askers = frozenset(p.workload.identity for p in listed if each.is_asked_for(p.status))
        if not askers:
            continue
        unscaled = sorted({w.name for w in workloads.values() if each.needs_scale and not w.scalable})
        others = sorted({workload.name for identity, workload in workloads.items() if identity not in askers})
        if unscaled:
            why = f"it needs a scale, so with Pods of {some_of(unscaled, _SHOWN)} it would allow no eviction"
            found.append(Unmet(each.kind, askers, f"{why}; remove the annotation {PREFIX}{each.annotation}"))
        elif others:
            why = f"{some_of(others, _SHOWN)} in the same group would be affected without asking for it; "
            remedy = (
                f"annotate both with {PREFIX}{each.annotation}, or give them different groups with {GROUP}"
            )
            found.append(Unmet(each.kind, askers, why + remedy))
    return found


def of_group(needs: Requirements, group: str, namespace: str, watched_from: str = "") -> list[dict[str, Any]]:
    """Render every object that a group's Pods need in their namespace, ready to be applied.

    Args:
        needs: what they need.
        group: their group.
        namespace: theirs.
        watched_from: the namespace of the controller, if it asks the members; a NetworkPolicy lets it.
    """
    objects = []
    if needs.config_map:
        objects.append(_config_map(group, namespace))
    if needs.ports:
        objects.append(_headless_service(needs.ports, group, namespace))
    if needs.disruption_budget:
        objects.append(_disruption_budget(group, namespace))
    if needs.closed_ports:
        objects.append(_network_policy(needs, group, namespace, watched_from))
    if needs.service_accounts:
        objects.append(_role_binding(needs.service_accounts, group, namespace))
    return objects


def _metadata(group: str, namespace: str) -> dict[str, Any]:
    return {"name": resource_name(group), "namespace": namespace, "labels": {**_LABELS, GROUP: group}}


def _config_map(group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(group, namespace),
        "data": {**CONFIGURATIONS, SECURITY_KEY: JAVA_SECURITY},
    }


def _headless_service(ports: tuple[int, ...], group: str, namespace: str) -> dict[str, Any]:
    """Render DNS records for every member, also before it is ready: members must meet to become ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(group, namespace),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {GROUP: group},
            "ports": [
                {
                    "name": PORT_NAME if len(ports) == 1 else f"{PORT_NAME}-{port}",
                    "port": port,
                    "targetPort": port,
                    # A service mesh must not take Hazelcast's protocol for HTTP.
                    "appProtocol": "tcp",
                }
                for port in ports
            ],
        },
    }


def _disruption_budget(group: str, namespace: str) -> dict[str, Any]:
    """Render a budget of one Pod at a time: each entry has one backup, and two members could hold both."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(group, namespace),
        "spec": {
            "maxUnavailable": 1,
            # A replica that is broken anyway must not block the drain of its node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {GROUP: group}},
        },
    }


def _network_policy(needs: Requirements, group: str, namespace: str, watched_from: str) -> dict[str, Any]:
    """Render a policy with the members' ports for the group only, and all other ports for everyone.

    A Pod that a NetworkPolicy selects accepts only what some policy allows, so open ports are listed, too.
    """
    own = {"matchLabels": {GROUP: group}}
    controller = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: watched_from}},
        "podSelector": {"matchLabels": CONTROLLER_LABELS},
    }
    is_asked = watched_from and needs.asked_ports
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(group, namespace),
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "ports": [
                        *_ports_between(needs.closed_ports),
                        {"protocol": "UDP"},
                        {"protocol": "SCTP"},
                    ]
                },
                {"from": [{"podSelector": own}], "ports": _tcp(needs.closed_ports)},
                *([{"from": [controller], "ports": _tcp(needs.asked_ports)}] if is_asked else ()),
            ],
        },
    }


def _tcp(ports: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _ports_between(closed: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the ranges of all TCP ports except these, which are in order."""
    return [
        {"protocol": "TCP", "port": before + 1, "endPort": after - 1}
        for before, after in pairwise((0, *closed, _LAST_PORT + 1))
        if before + 1 < after
    ]


def discovery_role() -> dict[str, Any]:
    """Render the ClusterRole that the RoleBinding of each group refers to, as manifests/base has it."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": DISCOVERY},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    }


def _role_binding(service_accounts: tuple[str, ...], group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(group, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": DISCOVERY},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            for account in service_accounts
        ],
    }
