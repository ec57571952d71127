"""A real Prometheus scrapes the programs and members; every alert and every panel finds what it asks for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from hazelcast_sidecar.monitoring.dashboards import DASHBOARDS
from hazelcast_sidecar.monitoring.member_series import MEMBER_SERIES
from hazelcast_sidecar.names import INJECTOR
from tests.e2e.conftest import namespace, rendered
from tests.e2e.http_client import api_proxy, replica
from tests.e2e.kubectl import Kubectl, agree_on, find, until
from tests.e2e.scraped_pods import proxy_in_a_pod, targets_of
from tests.e2e.workloads import first_pod, with_members
from tests.harness.prometheus import Prometheus, job_of, running_prometheus
from tests.harness.promql import metric_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Images, Sightings

pytestmark = pytest.mark.e2e

DATA_SECONDS = 60
ONLY_WITH_A_PROBLEM = {
    "apiserver_admission_webhook_fail_open_count",
    "apiserver_admission_webhook_rejection_count",
    "hazelcast_sidecar_missed_pods",
    "hazelcast_sidecar_drifted_pods",
    "hazelcast_sidecar_group_split",
    "hazelcast_sidecar_controller_faults_total",
    "hazelcast_sidecar_controller_unread_objects_total",
}
ONLY_WITH_WATCH_GROUPS = {
    "hazelcast_sidecar_controller_split_groups",
    "hazelcast_sidecar_controller_silent_groups",
}
CHOICES = {"$__rate_interval": "1m", "$namespace": ".*", "$group": ".*"}


@pytest.fixture(scope="module")
def component(webhook: Kubectl, images: Images) -> list[dict[str, Any]]:
    """What the component adds to an installation."""
    made = rendered(webhook, "base", images.webhook, "monitoring")
    return [each for each in made if each["kind"] in ("PodMonitor", "PrometheusRule")]


@pytest.fixture(scope="module")
def prometheus(
    component: list[dict[str, Any]],
    demo_manifests: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    sightings: Sightings,
) -> Iterator[Prometheus]:
    """One that scrapes both programs and a group of two, while they have something to do."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    monitors = [each for each in component if each["kind"] == "PodMonitor"]
    rules = find(component, "PrometheusRule", INJECTOR)["spec"]
    with (
        namespace("hazelcast-seen") as kubectl,
        api_proxy(kubectl) as api,
        proxy_in_a_pod(kubectl, demo_manifests) as proxy,
    ):
        kubectl.apply(
            with_members(demo_manifests, "seen", 2, **{"metrics": "true", "shutdown-timeout": "1s"})
        )
        kubectl.rolled_out("deployment/seen")
        pods = agree_on(kubectl, "app=seen", "hazelcast", 2)
        doors = [replica(api, pod) for pod in pods]
        jobs = [job_of(each, targets_of(each)) | {"proxy_url": proxy} for each in monitors]
        jobs += [{"job_name": "apiserver", "static_configs": [{"targets": [f"{api.host}:{api.port}"]}]}]
        with running_prometheus(folder, jobs, rules) as running:
            started = time.monotonic()
            pod = first_pod(demo_manifests)
            pod["metadata"]["namespace"] = kubectl.namespace
            kubectl("delete", "configmap/hazelcast-seen")  # which the controller reconciles
            for _ in range(10):  # beside the scrapes, so that they see something grow
                for number, door in enumerate(doors):
                    door.get("/put", key=f"k{number}", value="v")
                    door.get("/get", key=f"k{number}")
                kubectl.dry_run(pod)
                time.sleep(1)
            sightings.note("targets of Prometheus", json.dumps(running.targets(), indent=1))
            yield running
            sightings.note("Prometheus ran", f"{time.monotonic() - started:.0f} s")


def test_it_scrapes_all_of_both_programs_and_of_the_members(prometheus: Prometheus) -> None:
    assert {job: len(found) for job, found in prometheus.targets().items()} == {
        f"{INJECTOR}/{INJECTOR}": 4,
        f"{INJECTOR}/hazelcast-members": 2,
        "apiserver": 1,
    }
    assert prometheus.values("count by (component) (hazelcast_sidecar_build_info)") == [2, 2]
    names = set(prometheus.ask("label/__name__/values"))
    assert [each.name for each in MEMBER_SERIES if each.name not in names] == []


def test_every_panel_has_data(prometheus: Prometheus, sightings: Sightings) -> None:
    def lacking() -> list[str]:
        found = []
        for dashboard in DASHBOARDS.values():
            for panel in dashboard.panels():
                for query in panel.queries:
                    expression = query.expression
                    for name, choice in CHOICES.items():
                        expression = expression.replace(name, choice)
                    may_be_empty = metric_names(expression) & (ONLY_WITH_A_PROBLEM | ONLY_WITH_WATCH_GROUPS)
                    if not prometheus.values(expression) and not may_be_empty:
                        found.append(f"{dashboard.title}, {panel.title}: {expression}")
        return found

    until(DATA_SECONDS, "nothing lacks", lambda: not lacking() or None)
    shown = prometheus.ask("query", query=f"{MEMBER_SERIES[0].name}")["result"]
    sightings.note("a member's series", json.dumps(shown[:1], indent=1))


def test_every_choice_of_a_dashboard_has_values(prometheus: Prometheus) -> None:
    for dashboard in DASHBOARDS.values():
        for variable in dashboard.variables:
            series = variable.series.replace("$namespace", ".*")
            assert prometheus.ask(f"label/{variable.label}/values", **{"match[]": series}) != []


def test_every_alert_is_evaluated_and_none_fires(
    prometheus: Prometheus, component: list[dict[str, Any]]
) -> None:
    expected = [
        rule["alert"]
        for group in find(component, "PrometheusRule", INJECTOR)["spec"]["groups"]
        for rule in group["rules"]
    ]
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert sorted(rule["name"] for rule in rules) == sorted(expected)
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
