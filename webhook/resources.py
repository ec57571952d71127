"""What must exist beside the Pods of a group: their records -> ConfigMap, headless Service, Role and more.

The objects are the same whoever applies them: the controller that watches injected Pods, or a person.
"""

import re
from collections.abc import Iterable
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from webhook.names import CONFIG_KEY, GROUP, POD_CONFIG_KEY, PORT_NAME, SECURITY_KEY, resource_name
from webhook.status import Status

HAZELCAST_YAML, _ADVANCED_NETWORK = (
    files("webhook").joinpath(name).read_text(encoding="utf-8")
    for name in ("hazelcast.yaml", "advanced-network.yaml")
)
"""The member's configuration file; part of the program like its code."""

POD_YAML = re.sub(r"^  network:\n(?:    .*\n|\n)+", _ADVANCED_NETWORK, HAZELCAST_YAML, flags=re.MULTILINE)
"""The same for members whose clients are in their own Pod; it differs in one section."""

JAVA_SECURITY = """\
# A Pod may start before the DNS knows its group: the JVM must not remember for 10 s that there is nobody. The
# option -Dsun.net.inetaddr.negative.ttl would do nothing, as the JDK's own file sets this property.
networkaddress.cache.negative.ttl=0
"""
"""The member's security properties, which is where a JVM is told this."""

OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
"""The label of every object that the controller keeps; another one of the same name is somebody else's."""

OURS_SELECTOR = ",".join([GROUP, *(f"{key}={value}" for key, value in OURS.items())])
"""A label selector: what the controller keeps for any group."""

_LABELS = {"app.kubernetes.io/name": "hazelcast", **OURS}

_LAST_PORT = 65535


class Needs(NamedTuple):
    """What the Pods of one group need together; during a rollout old and new ones may differ."""

    config_map: bool
    ports: tuple[int, ...]
    """Of the Pods whose members find each other by DNS."""
    service_accounts: tuple[str, ...]
    """Of the Pods whose members ask the Kubernetes API."""
    disruption_budget: bool
    closed_ports: tuple[int, ...]
    """Of all members, where others shall be kept from them."""


def needs_of(statuses: Iterable[Status]) -> Needs:
    """What Pods with these records need."""
    listed = list(statuses)
    return Needs(
        config_map=any(not status.config for status in listed),
        ports=tuple(sorted({status.ports.members for status in listed if status.discovery == "dns"})),
        service_accounts=tuple(
            sorted({status.service_account for status in listed if status.discovery == "api"})
        ),
        disruption_budget=any(status.disruption_budget for status in listed),
        closed_ports=(
            tuple(sorted({status.ports.members for status in listed}))
            if any(status.network_policy for status in listed)
            else ()
        ),
    )


def of_group(needs: Needs, group: str, namespace: str) -> list[dict[str, Any]]:
    """Every object that a group's Pods need in their namespace, ready to be applied."""
    objects = []
    if needs.config_map:
        objects.append(_config_map(group, namespace))
    if needs.ports:
        objects.append(_headless_service(needs.ports, group, namespace))
    if needs.disruption_budget:
        objects.append(_disruption_budget(group, namespace))
    if needs.closed_ports:
        objects.append(_network_policy(needs.closed_ports, group, namespace))
    if needs.service_accounts:
        objects.append(_role(group, namespace))
        objects.append(_role_binding(needs.service_accounts, group, namespace))
    return objects


def _metadata(group: str, namespace: str) -> dict[str, Any]:
    return {"name": resource_name(group), "namespace": namespace, "labels": {**_LABELS, GROUP: group}}


def _config_map(group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(group, namespace),
        "data": {CONFIG_KEY: HAZELCAST_YAML, POD_CONFIG_KEY: POD_YAML, SECURITY_KEY: JAVA_SECURITY},
    }


def _headless_service(ports: tuple[int, ...], group: str, namespace: str) -> dict[str, Any]:
    """DNS records for every member, also before it is ready: members must meet to become ready."""
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
    """One at a time: each entry has one backup, and two members could hold both."""
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


def _network_policy(closed: tuple[int, ...], group: str, namespace: str) -> dict[str, Any]:
    """The members' ports for the group itself, and everything else for everybody.

    A Pod that a NetworkPolicy selects is denied all that none lists, so what shall stay open is listed too.
    """
    own = {"matchLabels": {GROUP: group}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(group, namespace),
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [*_ports_between(closed), {"protocol": "UDP"}, {"protocol": "SCTP"}]},
                {
                    "from": [{"podSelector": own}],
                    "ports": [{"protocol": "TCP", "port": port} for port in closed],
                },
            ],
        },
    }


def _ports_between(closed: tuple[int, ...]) -> list[dict[str, Any]]:
    """All TCP ports but these, which are in order, as ranges."""
    return [
        {"protocol": "TCP", "port": before + 1, "endPort": after - 1}
        for before, after in pairwise((0, *closed, _LAST_PORT + 1))
        if before + 1 < after
    ]


def _role(group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(group, namespace),
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    }


def _role_binding(service_accounts: tuple[str, ...], group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(group, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": resource_name(group)},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            for account in service_accounts
        ],
    }
