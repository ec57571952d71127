"""What must exist beside the Pods of a group: their records -> ConfigMap, headless Service, Role.

The objects are the same whoever applies them: the controller that watches injected Pods, or a person.
"""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, NamedTuple

from webhook.names import CONFIG_KEY, GROUP, PORT_NAME, resource_name
from webhook.status import Status

HAZELCAST_YAML = files("webhook").joinpath("hazelcast.yaml").read_text(encoding="utf-8")
"""The member's configuration file; part of the program like its code."""

OURS = {"app.kubernetes.io/managed-by": "hazelcast-sidecar-injector"}
"""The label of every object that the controller keeps; another one of the same name is somebody else's."""

_LABELS = {"app.kubernetes.io/name": "hazelcast", **OURS}


class Needs(NamedTuple):
    """What the Pods of one group need together; during a rollout old and new ones may differ."""

    config_map: bool
    ports: tuple[int, ...]
    """Of the Pods whose members find each other by DNS."""
    service_accounts: tuple[str, ...]
    """Of the Pods whose members ask the Kubernetes API."""


def needs_of(statuses: Iterable[Status]) -> Needs:
    """What Pods with these records need."""
    listed = list(statuses)
    return Needs(
        config_map=any(not status.config for status in listed),
        ports=tuple(sorted({status.port for status in listed if status.discovery == "dns"})),
        service_accounts=tuple(
            sorted({status.service_account for status in listed if status.discovery == "api"})
        ),
    )


def of_group(needs: Needs, group: str, namespace: str) -> list[dict[str, Any]]:
    """Every object that a group's Pods need in their namespace, ready to be applied."""
    objects = []
    if needs.config_map:
        objects.append(_config_map(group, namespace))
    if needs.ports:
        objects.append(_headless_service(needs.ports, group, namespace))
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
        "data": {CONFIG_KEY: HAZELCAST_YAML},
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
