"""The component of kustomize that has Prometheus and Grafana look at the injector and at members."""

from hazelcast_sidecar.monitoring.alerts import prometheus_rule
from hazelcast_sidecar.monitoring.dashboards import dashboard_files
from hazelcast_sidecar.monitoring.pod_monitors import pod_monitors
from manifests.yaml_text import SEPARATOR, dumped, made_from


def files() -> dict[str, str]:
    """Return the text of each file but the kustomization, by its name."""
    return {
        "rules.yaml": made_from("monitoring/alerts.py") + dumped(prometheus_rule()),
        "pod-monitors.yaml": made_from("monitoring/pod_monitors.py")
        + SEPARATOR.join(map(dumped, pod_monitors())),
        **dashboard_files(),
    }
