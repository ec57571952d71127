"""A tenant decides what a member's port answers; it can pretend to be no other tenant, nor the injector."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hazelcast_sidecar.monitoring.alerts import rule_groups
from hazelcast_sidecar.monitoring.pod_monitors import MEMBERS, pod_monitors
from tests.harness.prometheus import UP_SECONDS, Prometheus, job_of, running_prometheus
from tests.harness.waiting import until

FORGED = b"""
hazelcast_sidecar_controller_leader 1
hazelcast_sidecar_missed_pods{namespace="team-b"} 7
apiserver_admission_webhook_fail_open_count{name="pods.sidecar.hazelcast.com"} 7
up 0
com_hazelcast_Metrics_size{prefix="cluster",namespace="team-b",group="victim",pod="theirs"} 1
"""


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers everything with these metrics."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(FORGED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    """One that scrapes this member as the PodMonitor says."""
    (monitor,) = (each for each in pod_monitors() if each["metadata"]["name"] == MEMBERS)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        labels = {"namespace": "team-a", "group": "shop", "pod": "ours"}
        targets = [{"targets": [f"127.0.0.1:{server.server_port}"], "labels": labels}]
        with running_prometheus(tmp_path, [job_of(monitor, targets)], rule_groups()) as running:
            yield running
        server.shutdown()


def test_metrics_that_members_do_not_have_are_dropped_and_labels_are_those_of_the_pod(
    prometheus: Prometheus,
) -> None:
    until(UP_SECONDS, "it is stored", lambda: prometheus.values("up") == [1])
    names = {
        name for name in prometheus.ask("label/__name__/values") if not name.startswith(("scrape_", "ALERTS"))
    }
    assert names == {"com_hazelcast_Metrics_size", "up"}
    (series,) = prometheus.ask("query", query="com_hazelcast_Metrics_size")["result"]
    assert {name: series["metric"][name] for name in ("namespace", "group", "pod")} == {
        "namespace": "team-a",
        "group": "shop",
        "pod": "ours",
    }
