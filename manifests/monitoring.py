"""The component of kustomize that has Prometheus and Grafana look at the injector and at members."""

import json

from hazelcast_sidecar.monitoring.alerts import rule_groups
from hazelcast_sidecar.monitoring.dashboards import DASHBOARDS
from hazelcast_sidecar.monitoring.grafana import Dashboard, dashboard_json
from hazelcast_sidecar.monitoring.pod_monitors import pod_monitors
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS
from manifests.yaml_text import SEPARATOR, dumped, made_from


def files() -> dict[str, str]:
    """Return the text of each file but the kustomization, by its name."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": INJECTOR, "namespace": INJECTOR, "labels": INSTALLATION_LABELS},
        "spec": rule_groups(),
    }
    scraped = SEPARATOR.join(map(dumped, pod_monitors()))
    return {
        "rules.yaml": made_from("monitoring/alerts.py") + dumped(rule),
        "pod-monitors.yaml": made_from("monitoring/pod_monitors.py") + scraped,
        **{name: _dashboard(dashboard) for name, dashboard in DASHBOARDS.items()},
    }


def _dashboard(dashboard: Dashboard) -> str:
    return json.dumps(dashboard_json(dashboard), indent=1) + "\n"
