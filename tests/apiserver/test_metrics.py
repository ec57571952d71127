"""What running programs expose: all that docs/metrics.md has, nothing else, and all that is asked of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hazelcast_sidecar.monitoring.alerts import OF_BOTH, OF_CONTROLLER, OF_WEBHOOK
from hazelcast_sidecar.monitoring.dashboards import INJECTOR_DASHBOARD
from tests.harness.accounts import Account
from tests.harness.controller_program import Controller, started
from tests.harness.exposed_metrics import (
    Exposed,
    controller_metrics,
    exposed,
    sample_names,
    webhook_metrics,
)
from tests.harness.promql import metric_names
from tests.harness.waiting import APPEAR_SECONDS, until
from tests.harness.webhook_server import WebhookServer

pytestmark = pytest.mark.apiserver


@pytest.fixture
def watching(shipped: Account, tmp_path: Path, free_lease: None) -> Iterator[Controller]:
    """Run a controller that does all jobs, and leads."""
    assert free_lease is None
    running = Controller(shipped, tmp_path / "controller.log", options=["--watch-groups"])
    with started(running):
        until(APPEAR_SECONDS, "it leads", running.leads)
        yield running


def without_labels(metrics: list[Exposed]) -> list[Exposed]:
    """Labels show with the first sample of a metric alone."""
    return [each._replace(labels={}) for each in metrics]


def test_the_programs_expose_what_is_documented_and_all_that_is_asked_for(
    webhook: WebhookServer, watching: Controller
) -> None:
    texts = webhook.metrics(), watching.metrics()
    of_webhook, of_controller = map(exposed, texts)
    assert without_labels(of_webhook) == without_labels(webhook_metrics())
    assert without_labels(of_controller) == without_labels(controller_metrics())
    asked = {alert.expression for alert in (*OF_WEBHOOK, *OF_CONTROLLER, *OF_BOTH)}
    asked |= {query.expression for panel in INJECTOR_DASHBOARD.panels() for query in panel.queries}
    names = set().union(*map(metric_names, asked))
    not_ours = {name for name in names if name == "up" or name.startswith("apiserver_")}
    assert names - not_ours <= sample_names(texts[0]) | sample_names(texts[1])


def test_they_tell_of_their_processes_and_versions(webhook: WebhookServer, watching: Controller) -> None:
    for text in (webhook.metrics(), watching.metrics()):
        values = {line.split("{")[0].split(" ")[0]: float(line.rsplit(" ", 1)[1]) for line in lines_of(text)}
        assert values["process_resident_memory_bytes"] > 10e6
        assert values["process_cpu_seconds_total"] > 0
        assert values["hazelcast_sidecar_build_info"] == 1
    assert watching.metric("api_requests_total") > 0


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]
