"""The installation's objects as manifests/base has them, in the order in which they are to be applied."""

from importlib.resources import files

import yaml

from hazelcast_sidecar.group_objects.desired_objects import discovery_role
from hazelcast_sidecar.injection.webhook_configuration import webhook_configuration
from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.monitoring.alerts import prometheus_rule
from hazelcast_sidecar.monitoring.dashboards import dashboards_map
from hazelcast_sidecar.monitoring.pod_monitors import pod_monitors
from hazelcast_sidecar.names import CONTROLLER, INJECTOR, SETTINGS, SETTINGS_KEY

REPAIR = f"{CONTROLLER}-repair"
"""The name of the ClusterRole to evict Pods, and of its binding."""

_WRITTEN: list[JsonObject] = list(
    yaml.load_all(
        files("hazelcast_sidecar.installation").joinpath("written.yaml").read_text(encoding="utf-8"),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
)


def written(kind: str, name: str) -> JsonObject:
    """Return one of the objects that are written by hand in `manifests/`."""
    return next(each for each in _WRITTEN if (each["kind"], each["metadata"]["name"]) == (kind, name))


def settings_map() -> JsonObject:
    """Return the ConfigMap of the settings, which is empty till values fill it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SETTINGS},
        "data": {SETTINGS_KEY: ""},
    }


def base_objects(namespace: str = INJECTOR) -> list[JsonObject]:
    """Return all objects, those that are not always installed included.

    The webhook's configuration is the last one, so that what answers is there before it is asked.

    Args:
        namespace: the installation's own.
    """
    return [
        *_WRITTEN,
        settings_map(),
        permissions.role("ClusterRole", CONTROLLER, permissions.IN_CLUSTER),
        permissions.binding("ClusterRole", CONTROLLER, namespace),
        discovery_role(),
        permissions.role("Role", CONTROLLER, permissions.IN_OWN_NAMESPACE),
        permissions.binding("Role", CONTROLLER, namespace),
        permissions.role("ClusterRole", REPAIR, permissions.TO_REPAIR),
        permissions.binding("ClusterRole", REPAIR, namespace),
        prometheus_rule(namespace),
        *pod_monitors(namespace),
        dashboards_map(namespace),
        webhook_configuration(namespace),
    ]
