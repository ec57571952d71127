"""The alerts: when each fires, what it means, and what to do."""

from enum import StrEnum
from typing import NamedTuple

from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.webhook_configuration import AGAIN, DECISIVE, OTHERS, PODS, WORKLOADS
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.monitoring.member_series import series_of
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS

REPLICAS = 2
"""Replicas of the webhook in the manifests."""

_KUBECTL = f"kubectl -n {INJECTOR}"
"""In remedies: asks in the installation's namespace, which may have another name."""

_NOT_RUNNING = f"{_KUBECTL} get pods; {_KUBECTL} describe pods; hazelcast-sidecar check"

_CHECK_NAMESPACE = (
    "hazelcast-sidecar check --namespace {{ $labels.namespace }}; restart what it names with "
    "kubectl rollout restart"
)


class AlertSeverity(StrEnum):
    """How soon a person should look."""

    CRITICAL = "critical"  # now: Pods cannot be created, or entries are at risk
    WARNING = "warning"  # today
    INFO = "info"  # when there is time


class Alert(NamedTuple):
    """One alert.

    Attributes:
        name: in the style of Prometheus.
        expression: PromQL that every Prometheus since 2.40 evaluates; the alert is on while it has a result.
        lasts: how long it must have one, as PromQL writes time; "0s": not at all.
        severity: how soon a person should look.
        summary: one line; `{{ $labels.x }}` is a label of the result.
        meaning: sentences: what it means.
        remedy: what to do: mostly a command.
    """

    name: str
    expression: str
    lasts: str
    severity: AlertSeverity
    summary: str
    meaning: str
    remedy: str


def _grown(series: str, window: str) -> str:
    """Write how much a counter has grown that appears with its first event, as those of an API server do.

    `increase` alone does not see that event. What is there since Prometheus began to look is not counted.
    """
    is_new = f"({series} unless {series} offset {window}) and on (job, instance) (up offset {window})"
    return f"sum by (name) (({is_new}) or increase({series}[{window}]))"


def _of_api_server(metric: str, names: tuple[str, ...], more: str = "") -> str:
    """Select the series of an API server about some of our webhooks."""
    either = "|".join(name.replace(".", "[.]") for name in names)
    return f'{metric}{{name=~"{either}"{more}}}'


_FAIL_OPEN = "apiserver_admission_webhook_fail_open_count"
_DENIED = f"{Reason.INVALID}|{Reason.COLLISION}|{Reason.TOO_LARGE}|{Reason.NO_MEMBER}"
_DENIALS = f'hazelcast_sidecar_admission_requests_total{{outcome=~"{_DENIED}"}}'


def replicas_down(replicas: int | str) -> Alert:
    """Make the alert on replicas of the webhook that do not run.

    Args:
        replicas: how many should; or a placeholder in a template.
    """
    return Alert(
        "HazelcastSidecarWebhookReplicasDown",
        f"count(hazelcast_sidecar_open_connections) < {replicas}",
        "10m",
        AlertSeverity.WARNING,
        f"Fewer than {replicas} replicas of the webhook run",
        "The rest answers everything, but the loss of one more may leave none.",
        _NOT_RUNNING,
    )


OF_WEBHOOK = (
    Alert(
        "HazelcastSidecarWebhookDown",
        "absent(hazelcast_sidecar_open_connections)",
        "2m",
        AlertSeverity.CRITICAL,
        "No replica of the webhook runs",
        "Prometheus reaches none. If the API server does not either, annotated Pods and workloads are "
        "refused; "
        "all others are created as ever.",
        _NOT_RUNNING,
    ),
    replicas_down(REPLICAS),
    Alert(
        "HazelcastSidecarWebhookCallsFailing",
        _grown(
            _of_api_server(
                "apiserver_admission_webhook_rejection_count",
                (DECISIVE, OTHERS, WORKLOADS),
                ', error_type="calling_webhook_error"',
            ),
            "10m",
        )
        + " > 0",
        "0s",
        AlertSeverity.CRITICAL,
        "The API server refuses annotated objects because it gets no answer from {{ $labels.name }}",
        "The webhook was away, too slow, unreachable, or had a certificate that the API server does not "
        "trust. "
        "Workloads try again by themselves.",
        "hazelcast-sidecar check",
    ),
    Alert(
        "HazelcastSidecarFailOpen",
        _grown(_of_api_server(_FAIL_OPEN, (DECISIVE, OTHERS, WORKLOADS)), "10m") + " > 0",
        "0s",
        AlertSeverity.CRITICAL,
        "The API server admits annotated objects without an answer from {{ $labels.name }}",
        "Its failurePolicy was changed to Ignore, so Pods are created without their members while the "
        "webhook does "
        "not answer.",
        "hazelcast-sidecar check",
    ),
    Alert(
        "HazelcastSidecarReviewsRetried",
        _grown(_of_api_server(_FAIL_OPEN, (PODS, AGAIN)), "15m") + " > 10",
        "0s",
        AlertSeverity.WARNING,
        "Many calls of {{ $labels.name }} fail, and the API server asks again",
        "That is meant for a replica that has just gone. So many in a quarter of an hour have another "
        "reason, such "
        "as replicas that are too slow, or a network that loses connections; the last attempt decides.",
        f"hazelcast-sidecar check; {_KUBECTL} logs deployment/{INJECTOR}",
    ),
    Alert(
        "HazelcastSidecarAdmissionSlow",
        "histogram_quantile(0.99, sum by (le) "
        "(rate(hazelcast_sidecar_admission_duration_seconds_bucket[10m]))) "
        "> 0.25",
        "10m",
        AlertSeverity.WARNING,
        "One review in a hundred takes the webhook longer than a quarter of a second",
        "Most take less than a millisecond. The API server gives up after a few seconds. Mostly the "
        "webhook lacks "
        "CPU time, because its node is full.",
        f"{_KUBECTL} top pods; {_KUBECTL} get pods --output=wide",
    ),
    Alert(
        "HazelcastSidecarDenialsRising",
        f"sum(increase({_DENIALS}[15m])) > 10 and "
        f"sum(increase({_DENIALS}[15m])) > 2 * (sum(increase({_DENIALS}[1h] offset 15m)) / 4 or vector(0))",
        "0s",
        AlertSeverity.WARNING,
        "The webhook denies more and more Pods and workloads",
        "More than ten in a quarter of an hour, and more than twice as many as in the hour before: often a "
        "change of "
        "the settings, or a template that many use.",
        "kubectl get events --all-namespaces --field-selector=reason=Denied",
    ),
    Alert(
        "HazelcastSidecarCertificateExpiring",
        "min(hazelcast_sidecar_certificate_expiry_timestamp_seconds) - time() < 7 * 24 * 3600",
        "1h",
        AlertSeverity.CRITICAL,
        "The webhook's certificate ends within seven days",
        "It should have been renewed weeks ago. When it ends, annotated Pods and workloads are refused.",
        "hazelcast-sidecar check",
    ),
    Alert(
        "HazelcastSidecarCertificateFailures",
        "max by (pod) (increase(hazelcast_sidecar_certificate_failures_total[1h])) > 0",
        "0s",
        AlertSeverity.WARNING,
        "The webhook's replica {{ $labels.pod }} cannot use a new certificate",
        "It goes on with the one before, as long as that is valid.",
        f"{_KUBECTL} logs {{{{ $labels.pod }}}}; hazelcast-sidecar check",
    ),
)

OF_CONTROLLER = (
    Alert(
        "HazelcastSidecarNoLeader",
        "(sum(hazelcast_sidecar_controller_leader) or vector(0)) < 1",
        "5m",
        AlertSeverity.CRITICAL,
        "No replica of the controller leads",
        "Pods of new groups wait for their ConfigMap, certificates are not renewed, and nothing is "
        "audited. Groups "
        "that run are not affected.",
        _NOT_RUNNING,
    ),
    Alert(
        "HazelcastSidecarPodsMissed",
        "max by (namespace) (hazelcast_sidecar_missed_pods) > 0",
        "15m",
        AlertSeverity.WARNING,
        "Pods in {{ $labels.namespace }} ask for a Hazelcast member and have none",
        "They were created while the webhook was not asked: before the installation, or under another "
        "configuration.",
        _CHECK_NAMESPACE,
    ),
    Alert(
        "HazelcastSidecarPodsDrifted",
        "max by (namespace) (hazelcast_sidecar_drifted_pods) > 0",
        "1h",
        AlertSeverity.INFO,
        "Pods in {{ $labels.namespace }} have an outdated Hazelcast member",
        "They were created before a change of the settings, or of the injector, and work as before.",
        _CHECK_NAMESPACE,
    ),
    Alert(
        "HazelcastSidecarGroupSplit",
        "max by (namespace, group) (hazelcast_sidecar_group_split) > 0",
        "0s",
        AlertSeverity.CRITICAL,
        "The group {{ $labels.namespace }}/{{ $labels.group }} is not one Hazelcast cluster",
        "Its members have not agreed for a minute, so its Pods see different entries.",
        "hazelcast-sidecar status --namespace {{ $labels.namespace }}",
    ),
    Alert(
        "HazelcastSidecarGroupsSilent",
        "max(hazelcast_sidecar_controller_silent_groups) > 0",
        "15m",
        AlertSeverity.WARNING,
        "There are groups whose members cannot be asked",
        "They are ready and do not answer the controller, so a split of them would not be noticed; mostly a "
        "NetworkPolicy keeps it out.",
        "hazelcast-sidecar status --all-namespaces; the rule that lets it in is in "
        "manifests/components/watch-groups/kustomization.yaml",
    ),
)

OF_BOTH = (
    Alert(
        "HazelcastSidecarSettingsFailures",
        "max by (pod) (increase(hazelcast_sidecar_settings_failures_total[1h])) > 0",
        "0s",
        AlertSeverity.WARNING,
        "{{ $labels.pod }} cannot use the changed settings",
        "It goes on with those before; a replica that starts now does not become ready.",
        f"{_KUBECTL} logs {{{{ $labels.pod }}}}",
    ),
    Alert(
        "HazelcastSidecarUnexpectedExceptions",
        "max by (pod) (increase(hazelcast_sidecar_controller_faults_total[1h]) or "
        'increase(hazelcast_sidecar_refused_requests_total{status="500"}[1h])) > 0',
        "0s",
        AlertSeverity.WARNING,
        "{{ $labels.pod }} has passed over something after an unexpected exception",
        "One object or request that nothing expected; everything else goes on. It is a fault of the "
        "injector.",
        f"{_KUBECTL} logs {{{{ $labels.pod }}}}, and report the exception",
    ),
)

OF_MEMBERS = (
    Alert(
        "HazelcastMembersApart",
        f"min by (namespace, group) ({series_of('size')}) < count by (namespace, group) "
        f"({series_of('size')})",
        "5m",
        AlertSeverity.CRITICAL,
        "A member of {{ $labels.namespace }}/{{ $labels.group }} sees fewer members than there are",
        "Members that have not found each other for minutes hold different entries.",
        "hazelcast-sidecar status --namespace {{ $labels.namespace }}",
    ),
    Alert(
        "HazelcastMemberHeapFull",
        f"max by (namespace, pod) "
        f"(min_over_time({series_of('usedHeap')}[15m]) / {series_of('maxHeap')}) > 0.85",
        "5m",
        AlertSeverity.WARNING,
        "The heap of the member in {{ $labels.namespace }}/{{ $labels.pod }} is nearly full",
        "Even after garbage collections more than 85 % of it has been in use for a quarter of an hour. A "
        "member "
        "without heap stops, and its entries move to the others.",
        "raise sidecar.hazelcast.com/memory-limit, add replicas, or let entries expire",
    ),
)

GROUPS: dict[str, tuple[Alert, ...]] = {
    "hazelcast-sidecar-webhook": OF_WEBHOOK,
    "hazelcast-sidecar-controller": OF_CONTROLLER,
    "hazelcast-sidecar-programs": OF_BOTH,
    "hazelcast-members": OF_MEMBERS,
}
"""All alerts, by the name of their rule group."""


def rule_groups(namespace: str = INJECTOR) -> JsonObject:
    """Return the alerts as a rule file has them, and as the `spec` of a PrometheusRule.

    Args:
        namespace: the installation's own, for what is to be typed.
    """
    return {
        "groups": [
            {"name": name, "rules": [_rule(alert, namespace) for alert in alerts]}
            for name, alerts in GROUPS.items()
        ]
    }


def prometheus_rule(namespace: str = INJECTOR) -> JsonObject:
    """Return the alerts as an object of the Prometheus Operator.

    Args:
        namespace: the installation's own.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": INJECTOR, "namespace": namespace, "labels": INSTALLATION_LABELS},
        "spec": rule_groups(namespace),
    }


def _rule(alert: Alert, namespace: str) -> JsonObject:
    remedy = alert.remedy.replace(_KUBECTL, f"kubectl -n {namespace}")
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({} if alert.lasts == "0s" else {"for": alert.lasts}),
        "labels": {"severity": alert.severity.value},
        "annotations": {
            "summary": alert.summary,
            "description": f"{alert.meaning} What to do: {remedy}",
        },
    }
