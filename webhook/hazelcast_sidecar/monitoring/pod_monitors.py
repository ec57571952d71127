"""What Prometheus scrapes: the programs of the injector, and members that serve their metrics."""

from hazelcast_sidecar.injection.member import METRICS_PORT_NAME
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import GROUP, INJECTOR, INSTALLATION_LABELS

MEMBERS = "hazelcast-members"
_NAME_LABEL = "app.kubernetes.io/name"
_COMPONENT_LABEL = "app.kubernetes.io/component"

_OF_MEMBERS = "(com_hazelcast|jvm|process)_.+"
_MEMBER_BOUNDS = {
    "sampleLimit": 20_000,
    "labelLimit": 30,
    "labelNameLengthLimit": 200,
    "labelValueLengthLimit": 1_000,
}
"""Anyone who may create Pods decides what such a port answers: not too much, and no metrics of ours."""


def pod_monitors(namespace: str = INJECTOR) -> list[JsonObject]:
    """Return the PodMonitors: of webhook and controller, and of members in all namespaces.

    Args:
        namespace: the installation's own.
    """
    of_programs = {
        "selector": {"matchLabels": {_NAME_LABEL: INJECTOR}},
        "podMetricsEndpoints": [
            {
                "port": "admin",
                # A namespace that a metric is about is not that of the program.
                "honorLabels": True,
                "relabelings": [_kept(_COMPONENT_LABEL, "component")],
            }
        ],
    }
    of_members = {
        "namespaceSelector": {"any": True},
        "selector": {"matchExpressions": [{"key": GROUP, "operator": "Exists"}]},
        "podMetricsEndpoints": [
            {
                "port": METRICS_PORT_NAME,
                "interval": "30s",
                "relabelings": [_kept(GROUP, "group")],
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": _OF_MEMBERS, "action": "keep"}],
            }
        ],
        **_MEMBER_BOUNDS,
    }
    return [_pod_monitor(INJECTOR, namespace, of_programs), _pod_monitor(MEMBERS, namespace, of_members)]


def _kept(label: str, name: str) -> JsonObject:
    """Keep a label of the Pod, as a label of the series."""
    discovered = "".join(letter if letter.isalnum() else "_" for letter in label)
    return {"sourceLabels": [f"__meta_kubernetes_pod_label_{discovered}"], "targetLabel": name}


def _pod_monitor(name: str, namespace: str, spec: JsonObject) -> JsonObject:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": name, "namespace": namespace, "labels": INSTALLATION_LABELS},
        "spec": spec,
    }
