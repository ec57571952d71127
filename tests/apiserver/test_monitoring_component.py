"""The component `monitoring` as kustomize renders it, by the example in its own comment."""

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.monitoring.alerts import rule_groups
from hazelcast_sidecar.monitoring.dashboards import DASHBOARDS
from hazelcast_sidecar.monitoring.grafana import dashboard_json
from hazelcast_sidecar.monitoring.pod_monitors import pod_monitors
from hazelcast_sidecar.names import INJECTOR
from tests.harness.control_plane import find_programs
from tests.harness.go_programs import UnavailableError
from tests.harness.shipped_manifests import ROOT

pytestmark = pytest.mark.apiserver

EXAMPLE = "#   # kustomization.yaml\n"


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What it adds to the base."""
    try:
        kubectl = find_programs(print) / "kubectl"
    except UnavailableError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "manifests", folder / "manifests")
    comment = (ROOT / "manifests/components/monitoring/kustomization.yaml").read_text().split(EXAMPLE)[1]
    lines = [line[4:] for line in comment.splitlines() if line.startswith("#")]
    (folder / "kustomization.yaml").write_text("\n".join(lines))
    done = subprocess.run(
        [str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    return [obj for obj in made if obj["kind"] in ("PodMonitor", "PrometheusRule", "ConfigMap")]


def test_all_is_in_the_installations_namespace(added: list[dict[str, Any]]) -> None:
    assert {(obj["kind"], obj["metadata"]["name"]): obj["metadata"]["namespace"] for obj in added} == {
        ("ConfigMap", "hazelcast-sidecar-dashboards"): INJECTOR,
        ("ConfigMap", "hazelcast-sidecar-settings"): INJECTOR,
        ("PodMonitor", "hazelcast-members"): INJECTOR,
        ("PodMonitor", INJECTOR): INJECTOR,
        ("PrometheusRule", INJECTOR): INJECTOR,
    }


def test_a_label_can_be_added_as_the_comment_says(added: list[dict[str, Any]]) -> None:
    labels = {obj["kind"]: obj["metadata"].get("labels", {}).get("release") for obj in added}
    assert labels == {"ConfigMap": None, "PodMonitor": "prometheus", "PrometheusRule": "prometheus"}


def test_nothing_is_lost_on_the_way(added: list[dict[str, Any]]) -> None:
    specs = {obj["metadata"]["name"]: obj["spec"] for obj in added if obj["kind"] == "PodMonitor"}
    assert specs == {each["metadata"]["name"]: each["spec"] for each in pod_monitors()}
    (rule,) = (obj for obj in added if obj["kind"] == "PrometheusRule")
    assert rule["spec"] == rule_groups()
    (shown,) = (obj for obj in added if "grafana_dashboard" in obj["metadata"].get("labels", {}))
    assert {name: json.loads(text) for name, text in shown["data"].items()} == {
        name: dashboard_json(dashboard) for name, dashboard in DASHBOARDS.items()
    }
