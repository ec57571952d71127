"""Every alert fires when it should, and does not just below, as Prometheus itself evaluates it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from hazelcast_sidecar.injection.webhook_configuration import webhook_configuration
from hazelcast_sidecar.monitoring.alerts import GROUPS, REPLICAS, Alert
from hazelcast_sidecar.server.server_metrics import SECONDS_BUCKETS
from tests.monitoring.promtool import promtool, rule_test, run_rule_tests, write_rules

ALERTS = {alert.name: alert for alerts in GROUPS.values() for alert in alerts}
Series = dict[str, str]

MINUTE, DAY = 60, 24 * 3600


class Case(NamedTuple):
    """Series that bring an alert on, and series that do not quite; values as promtool writes them.

    Attributes:
        on: with these it fires.
        off: with each of these it does not: a minute too short, or one too few.
        minute: when that is looked at.
        labels: of the alert, beside its severity.
    """

    on: Series
    off: tuple[Series, ...]
    minute: int
    labels: Mapping[str, str] = {}


def called(metric: str, name: str, values: str, more: str = "") -> Series:
    """A counter of an API server about one webhook, which has been scraped from the beginning."""
    target = 'job="apiserver", instance="a"'
    return {f'{metric}{{name="{name}", {target}{more}}}': values, f"up{{{target}}}": "1x120"}


def reviewed(minute: int, slow: int) -> Series:
    """A histogram to which each minute adds 100 reviews; from one on, some of them are slow."""
    name = "hazelcast_sidecar_admission_duration_seconds_bucket"
    before, fast = 100 * (minute - 1), 100 - slow
    some = f"0+100x{minute - 1} {before + fast}+{fast}x60"
    return {f'{name}{{le="{bound}"}}': some for bound in ("0.05", "0.25")} | {
        f'{name}{{le="{bound}"}}': "0+100x90" for bound in ("1.0", "+Inf")
    }


def denied(before: str, then: str) -> Series:
    return {
        'hazelcast_sidecar_admission_requests_total{outcome="invalid-annotations", pod="a"}': before,
        'hazelcast_sidecar_admission_requests_total{outcome="collision", pod="b"}': then,
        'hazelcast_sidecar_admission_requests_total{outcome="injected", pod="a"}': "0+1000x120",
    }


def seen(namespace: str, values: str) -> Series:
    """How many members each of two sees."""
    labels = f'namespace="{namespace}", group="shop", prefix'
    return {
        f'com_hazelcast_Metrics_size{{{labels}="{prefix}", pod="{pod}"}}': sizes
        for pod in range(2)
        for prefix, sizes in (("cluster", values), ("something else", "0x20"))
    }


def heap(used: str) -> Series:
    """The heap of a member with one of 100 bytes."""
    labels = 'namespace="team-a", group="shop", pod="shop-1", prefix'
    return {
        f'com_hazelcast_Metrics_{name}{{{labels}="{prefix}"}}': values
        for name, values in (("usedHeap", used), ("maxHeap", "100x70"))
        for prefix, values in (("memory", values), ("something else", "100x70"))
    }


FAIL_OPEN = "apiserver_admission_webhook_fail_open_count"
REFUSED = "apiserver_admission_webhook_rejection_count"
BY_ERROR = ', error_type="calling_webhook_error"'
LATE = "_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _"
"""Twenty minutes without the series."""
DECISIVE = "decisive.pods.sidecar.hazelcast.com"
SHOP = {"namespace": "team-a", "group": "shop"}
TERMS = {"a": "1x4 0x20", "b": "0x25"}
"""Of two controllers: the first one leads for four minutes."""

CASES = {
    "HazelcastSidecarWebhookDown": Case(
        {'hazelcast_sidecar_open_connections{pod="a"}': "3x4 stale"},
        (
            {'hazelcast_sidecar_open_connections{pod="a"}': "3x5 stale"},
            {'hazelcast_sidecar_open_connections{pod="a"}': "0x9"},
        ),
        minute=7,
    ),
    "HazelcastSidecarWebhookReplicasDown": Case(
        {'hazelcast_sidecar_open_connections{pod="a"}': "1x20"},
        (
            {f'hazelcast_sidecar_open_connections{{pod="{number}"}}': "0x20" for number in range(REPLICAS)},
            {'hazelcast_sidecar_open_connections{pod="a"}': "1x20"}
            | {'hazelcast_sidecar_open_connections{pod="b"}': "1 stale"},
        ),
        minute=10,
    ),
    "HazelcastSidecarWebhookCallsFailing": Case(
        called(REFUSED, DECISIVE, f"{LATE} 1x20", BY_ERROR),
        (
            called(REFUSED, DECISIVE, "7x40", BY_ERROR),
            called(REFUSED, DECISIVE, f"{LATE} 1x20", ', error_type="no_error"'),
            called(REFUSED, "pods.another.example", f"{LATE} 1x20", BY_ERROR),
        ),
        minute=22,
        labels={"name": DECISIVE},
    ),
    "HazelcastSidecarFailOpen": Case(
        called(FAIL_OPEN, "workloads.sidecar.hazelcast.com", "7x20 8x20"),
        (
            called(FAIL_OPEN, "workloads.sidecar.hazelcast.com", "7x40"),
            called(FAIL_OPEN, "pods.sidecar.hazelcast.com", "7x20 9x20"),
        ),
        minute=22,
        labels={"name": "workloads.sidecar.hazelcast.com"},
    ),
    "HazelcastSidecarReviewsRetried": Case(
        called(FAIL_OPEN, "pods.sidecar.hazelcast.com", f"{LATE} 11x20"),
        (
            called(FAIL_OPEN, "pods.sidecar.hazelcast.com", f"{LATE} 10x20"),
            called(FAIL_OPEN, "pods.another.example", f"{LATE} 11x20"),
        ),
        minute=22,
        labels={"name": "pods.sidecar.hazelcast.com"},
    ),
    "HazelcastSidecarAdmissionSlow": Case(
        reviewed(20, slow=20), (reviewed(21, slow=20), reviewed(1, slow=1)), minute=30
    ),
    "HazelcastSidecarDenialsRising": Case(
        denied("0+0.1x120", "0x90 1+1x30"),
        (
            denied("0+0.1x120", "0x90 0.5+0.5x30"),
            denied("0+1x120", "0+1x90 91.9+1.9x30"),
        ),
        minute=105,
    ),
    "HazelcastSidecarCertificateExpiring": Case(
        {'hazelcast_sidecar_certificate_expiry_timestamp_seconds{pod="a"}': f"{7 * DAY}x80"},
        ({'hazelcast_sidecar_certificate_expiry_timestamp_seconds{pod="a"}': f"{7 * DAY + MINUTE}x80"},),
        minute=61,
    ),
    "HazelcastSidecarCertificateFailures": Case(
        {'hazelcast_sidecar_certificate_failures_total{pod="a"}': "0x10 1x30"},
        ({'hazelcast_sidecar_certificate_failures_total{pod="a"}': "1x40"},),
        minute=30,
        labels={"pod": "a"},
    ),
    "HazelcastSidecarNoLeader": Case(
        {f'hazelcast_sidecar_controller_leader{{pod="{pod}"}}': values for pod, values in TERMS.items()},
        (
            {'hazelcast_sidecar_controller_leader{pod="a"}': "1x5 0x20"},
            {'hazelcast_sidecar_controller_leader{pod="a"}': "1x4 0x20"}
            | {'hazelcast_sidecar_controller_leader{pod="b"}': "0x8 1x20"},
        ),
        minute=10,
    ),
    "HazelcastSidecarPodsMissed": Case(
        {'hazelcast_sidecar_missed_pods{namespace="team-a", pod="a"}': "0x4 1x20"},
        ({'hazelcast_sidecar_missed_pods{namespace="team-a", pod="a"}': "0x5 1x20"},),
        minute=20,
        labels={"namespace": "team-a"},
    ),
    "HazelcastSidecarPodsDrifted": Case(
        {'hazelcast_sidecar_drifted_pods{namespace="team-a"}': "0x9 1x80"},
        ({'hazelcast_sidecar_drifted_pods{namespace="team-a"}': "0x10 1x80"},),
        minute=70,
        labels={"namespace": "team-a"},
    ),
    "HazelcastSidecarGroupSplit": Case(
        {'hazelcast_sidecar_group_split{namespace="team-a", group="shop"}': "_x9 1x9"},
        ({'hazelcast_sidecar_group_split{namespace="team-a", group="shop"}': "1x8 stale"},),
        minute=9,
        labels=SHOP,
    ),
    "HazelcastSidecarGroupsSilent": Case(
        {"hazelcast_sidecar_controller_silent_groups": "1x20"},
        ({"hazelcast_sidecar_controller_silent_groups": "0 1x20"},),
        minute=15,
    ),
    "HazelcastSidecarSettingsFailures": Case(
        {'hazelcast_sidecar_settings_failures_total{pod="a"}': "0x10 1x30"},
        ({'hazelcast_sidecar_settings_failures_total{pod="a"}': "1x40"},),
        minute=30,
        labels={"pod": "a"},
    ),
    "HazelcastSidecarUnexpectedExceptions": Case(
        {'hazelcast_sidecar_controller_faults_total{where="watch", pod="a"}': "0x10 1x30"},
        (
            {'hazelcast_sidecar_controller_faults_total{where="watch", pod="a"}': "1x40"},
            {'hazelcast_sidecar_refused_requests_total{status="400", pod="b"}': "0x10 9x30"},
        ),
        minute=30,
        labels={"pod": "a"},
    ),
    "HazelcastMembersApart": Case(
        seen("team-a", "2x4 1x20"),
        (seen("team-a", "2x5 1x20"), seen("team-a", "2x20") | seen("team-b", "2x20")),
        minute=10,
        labels=SHOP,
    ),
    "HazelcastMemberHeapFull": Case(
        heap("50x20 86x60"),
        (heap("50x21 86x60"), heap("85x60"), heap("100x12 84 100x12 84 100x12 84 100x12")),
        minute=41,
        labels={"namespace": "team-a", "pod": "shop-1"},
    ),
}


def fired(alert: Alert, labels: Mapping[str, str]) -> list[dict[str, object]]:
    """The alert as promtool expects it: with all labels, and with its sentences filled in."""

    def filled(text: str) -> str:
        for name, value in labels.items():
            text = text.replace(f"{{{{ $labels.{name} }}}}", value)
        assert "{{" not in text, text
        return text

    sentences = {"summary": alert.summary, "description": f"{alert.meaning} What to do: {alert.remedy}"}
    return [
        {
            "exp_labels": {"severity": alert.severity.value, **labels},
            "exp_annotations": {name: filled(text) for name, text in sentences.items()},
        }
    ]


def test_every_alert_has_a_case() -> None:
    assert CASES.keys() == ALERTS.keys()


@pytest.mark.parametrize("name", CASES)
def test_it_fires_and_does_not_just_below(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    run_rule_tests(
        tmp_path,
        rule_test(case.on, case.minute, name, fired(ALERTS[name], case.labels)),
        *(rule_test(series, case.minute, name, []) for series in case.off),
    )


def test_an_exception_in_the_webhook_is_told_too(tmp_path: Path) -> None:
    name = "HazelcastSidecarUnexpectedExceptions"
    series = {'hazelcast_sidecar_refused_requests_total{status="500", pod="a"}': "0x10 1x30"}
    run_rule_tests(tmp_path, rule_test(series, 30, name, fired(ALERTS[name], {"pod": "a"})))


def test_a_controller_that_is_not_there_at_all_does_not_lead(tmp_path: Path) -> None:
    name = "HazelcastSidecarNoLeader"
    run_rule_tests(tmp_path, rule_test({}, 10, name, fired(ALERTS[name], {})))


def test_what_an_api_server_counted_before_prometheus_began_to_look_fires_nothing(tmp_path: Path) -> None:
    name = "HazelcastSidecarWebhookCallsFailing"
    target = 'job="apiserver", instance="a"'
    series = {
        f'{REFUSED}{{name="{DECISIVE}", error_type="calling_webhook_error", {target}}}': f"{LATE} 7x20",
        f"up{{{target}}}": f"{LATE} 1x20",
    }
    run_rule_tests(tmp_path, *(rule_test(series, minute, name, []) for minute in range(20, 40)))


def test_the_rules_are_valid_and_not_one_is_double(tmp_path: Path) -> None:
    said = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", write_rules(tmp_path).name, folder=tmp_path
    )
    assert f"{len(ALERTS)} rules found" in said
    assert len(ALERTS) == sum(map(len, GROUPS.values()))


def test_limits_are_those_of_the_code() -> None:
    slow = ALERTS["HazelcastSidecarAdmissionSlow"].expression
    assert float(slow.rsplit("> ", 1)[1]) in SECONDS_BUCKETS, "between bounds, Prometheus has to guess"


@pytest.mark.parametrize("webhook", webhook_configuration()["webhooks"], ids=lambda webhook: webhook["name"])
def test_each_webhook_that_is_passed_over_is_told(webhook: dict[str, str], tmp_path: Path) -> None:
    name = "HazelcastSidecarReviewsRetried"
    if webhook["failurePolicy"] == "Fail":  # so somebody has changed that
        name = "HazelcastSidecarFailOpen"
    series = called(FAIL_OPEN, webhook["name"], f"{LATE} 11x20")
    run_rule_tests(tmp_path, rule_test(series, 22, name, fired(ALERTS[name], {"name": webhook["name"]})))


def test_whatever_is_denied_counts_as_a_denial(checkout: Path) -> None:
    reports = [path.read_text() for path in (checkout / "tests" / "golden" / "cases").glob("*.report")]
    reasons = {line for report in reports if "allowed: false" in report for line in report.splitlines()}
    denied_for = {line.removeprefix("reason: ") for line in reasons if line.startswith("reason: ")}
    assert denied_for
    expression = ALERTS["HazelcastSidecarDenialsRising"].expression
    assert [reason for reason in denied_for if reason not in expression] == []
