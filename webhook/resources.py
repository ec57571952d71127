"""What must exist beside the Pods of a group: SidecarSpec -> ConfigMap, headless Service, Role.

The objects are the same whoever applies them: a person, or a controller that watches injected Pods.
"""

from importlib.resources import files
from typing import Any

from webhook.annotations import SidecarSpec
from webhook.names import CONFIG_KEY, GROUP, PORT_NAME, resource_name

HAZELCAST_YAML = files("webhook").joinpath("hazelcast.yaml").read_text(encoding="utf-8")
"""The member's configuration file; part of the program like its code."""

_LABELS = {
    "app.kubernetes.io/name": "hazelcast",
    "app.kubernetes.io/managed-by": "hazelcast-sidecar-injector",
}


def of_group(spec: SidecarSpec, group: str, namespace: str, service_account: str) -> list[dict[str, Any]]:
    """Every object that a group's Pods need in their namespace, ready to be applied.

    Args:
        spec: of the group's Pods.
        group: as on their label.
        namespace: theirs.
        service_account: the one that they run as; bound to the Role where discovery asks the API.
    """
    objects = [] if spec.config else [_config_map(group, namespace)]
    if spec.discovery == "dns":
        return [*objects, _headless_service(spec, group, namespace)]
    return [*objects, _role(group, namespace), _role_binding(group, namespace, service_account)]


def _metadata(group: str, namespace: str) -> dict[str, Any]:
    return {"name": resource_name(group), "namespace": namespace, "labels": {**_LABELS, GROUP: group}}


def _config_map(group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(group, namespace),
        "data": {CONFIG_KEY: HAZELCAST_YAML},
    }


def _headless_service(spec: SidecarSpec, group: str, namespace: str) -> dict[str, Any]:
    """DNS records for every member, also before it is ready: members must meet to become ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(group, namespace),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {GROUP: group},
            # A service mesh must not take Hazelcast's protocol for HTTP.
            "ports": [{"name": PORT_NAME, "port": spec.port, "targetPort": spec.port, "appProtocol": "tcp"}],
        },
    }


def _role(group: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(group, namespace),
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    }


def _role_binding(group: str, namespace: str, service_account: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(group, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": resource_name(group)},
        "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": namespace}],
    }
