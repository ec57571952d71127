"""docs/metrics.md and docs/monitoring.md say what the code does; `--update` writes their tables."""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from hazelcast_sidecar.cli import parser
from hazelcast_sidecar.monitoring.alerts import GROUPS, Alert
from hazelcast_sidecar.monitoring.dashboards import DASHBOARDS, MEMBERS_DASHBOARD
from hazelcast_sidecar.monitoring.member_series import MEMBER_SERIES
from tests.harness.document_parts import agree_parts, markdown_table
from tests.harness.exposed_metrics import Exposed, controller_metrics, webhook_metrics
from tests.harness.promql import metric_names

ALERTS = [alert for alerts in GROUPS.values() for alert in alerts]
OF_API_SERVER = {"apiserver_admission_webhook_fail_open_count", "apiserver_admission_webhook_rejection_count"}
OF_PROMETHEUS = {"up"}


# --- tables ------------------------------------------------------------------------------------------------


def label_text(labels: dict[str, tuple[str, ...]]) -> str:
    return "; ".join(
        f"`{name}`: {', '.join(f'`{value}`' for value in values)}" if values else f"`{name}`"
        for name, values in labels.items()
    )


def metrics_table(metrics: list[Exposed]) -> str:
    rows = [(f"`{each.name}`", each.type, label_text(each.labels), each.meaning) for each in metrics]
    return markdown_table(("metric", "type", "labels", "meaning"), rows)


def members_table() -> str:
    rows = [
        (
            f"`{each.name}`",
            ", ".join(f"`{label}`" for label in (each.selector, *each.labels) if label),
            each.meaning,
        )
        for each in MEMBER_SERIES
    ]
    return markdown_table(("series", "labels", "meaning"), rows)


def alert_row(alert: Alert) -> Sequence[str]:
    def plain(text: str) -> str:
        return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda label: label[1].upper(), text)

    after = "at once" if alert.lasts == "0s" else f"after {alert.lasts}"
    return (
        f"`{alert.name}`",
        f"{alert.severity}, {after}",
        plain(f"{alert.summary}. {alert.meaning}"),
        re.sub(
            r"(?:kubectl|hazelcast-sidecar) [^;,]*", lambda command: f"`{command[0]}`", plain(alert.remedy)
        ),
    )


def alerts_table(alerts: Sequence[Alert]) -> str:
    return markdown_table(
        ("alert", "severity", "what it means", "what to do"), [alert_row(alert) for alert in alerts]
    )


TABLES = {
    "docs/metrics.md": {
        "webhook": metrics_table(webhook_metrics()),
        "controller": metrics_table(controller_metrics()),
        "members": members_table(),
    },
    "docs/monitoring.md": {name: alerts_table(alerts) for name, alerts in GROUPS.items()},
}


@pytest.mark.parametrize("document", TABLES)
def test_the_tables_are_those_of_the_code(
    document: str, checkout: Path, request: pytest.FixtureRequest
) -> None:
    agree_parts(checkout / document, TABLES[document], update=request.config.getoption("--update"))


# --- what alerts and panels say ----------------------------------------------------------------------------


def test_alerts_and_panels_read_metrics_that_are_documented() -> None:
    """The programs' own, with all suffixes of a histogram, those of the API server, and those of members."""
    ours = {each.name for each in (*webhook_metrics(), *controller_metrics())}
    ours |= {
        f"{each.name}_bucket" for each in webhook_metrics() + controller_metrics() if each.type == "histogram"
    }
    members = {each.name for each in MEMBER_SERIES}
    of_alerts = set().union(*(metric_names(alert.expression) for alert in ALERTS))
    assert of_alerts <= ours | members | OF_API_SERVER | OF_PROMETHEUS
    for dashboard in DASHBOARDS.values():
        known = members if dashboard is MEMBERS_DASHBOARD else ours | OF_API_SERVER
        read = [metric_names(query.expression) for panel in dashboard.panels() for query in panel.queries]
        assert set().union(*read) <= known
        assert all(metric_names(variable.series) <= known for variable in dashboard.variables)
    in_use = of_alerts.union(
        *(metric_names(q.expression) for p in MEMBERS_DASHBOARD.panels() for q in p.queries)
    )
    assert members <= in_use, "a series that matters is drawn"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_commands_of_an_alert_are_commands(alert: Alert) -> None:
    """As far as they are our own: the parser takes them."""
    text = re.sub(r"\{\{ \$labels\.\w+ \}\}", "x", alert.remedy)
    for command in re.findall(r"hazelcast-sidecar ((?:check|status)[^,;]*)", text):
        read = parser().parse_args(shlex.split(command))
        assert isinstance(read, argparse.Namespace)
