"""The dashboards: one of the injector, and one of the members."""

import json

from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.monitoring.grafana import Dashboard, Panel, Query, Variable, dashboard_json
from hazelcast_sidecar.monitoring.member_series import series_of
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS

_OWN_NAMESPACE = f'namespace="{INJECTOR}"'
_PROCESS = f"{{{_OWN_NAMESPACE}}}"
"""Tenants' members have metrics of these names, too."""

_RATE = "[$__rate_interval]"
_PREFIX = "hazelcast_sidecar"
_DURATION = f"{_PREFIX}_admission_duration_seconds_bucket"


def _quantile(share: float, bucket: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({bucket}{_RATE})))"


def _max(metric: str) -> Query:
    """Query what only the leader knows; the others have 0."""
    return Query(f"max({metric})", metric.removeprefix(f"{_PREFIX}_controller_").replace("_", " "))


_AT_A_GLANCE = (
    Panel(
        "Webhook replicas",
        "short",
        (Query(f"count({_PREFIX}_open_connections)", "replicas"),),
        "Replicas that Prometheus reaches: two, unless you have set another number.",
        "stat",
    ),
    Panel(
        "Leading controllers",
        "short",
        (Query(f"sum({_PREFIX}_controller_leader)", "leaders"),),
        "Always one.",
        "stat",
    ),
    Panel(
        "Certificate ends in",
        "s",
        (Query(f"min({_PREFIX}_certificate_expiry_timestamp_seconds) - time()", "certificate"),),
        "Renewed at a third of its life, 30 of 90 days, before the end.",
        "stat",
    ),
    Panel("Injected Pods", "short", (_max(f"{_PREFIX}_controller_watched_pods"),), "With a member.", "stat"),
    Panel(
        "Missed Pods",
        "short",
        (_max(f"{_PREFIX}_controller_missed_pods"),),
        "Without the member they ask for.",
        "stat",
    ),
    Panel(
        "Drifted Pods",
        "short",
        (_max(f"{_PREFIX}_controller_drifted_pods"),),
        "With an outdated member.",
        "stat",
    ),
)

_ADMISSION = (
    Panel(
        "Reviews by outcome",
        "reqps",
        (Query(f"sum by (outcome) (rate({_PREFIX}_admission_requests_total{_RATE})) > 0", "{{outcome}}"),),
        "What the API server asked, and what was decided.",
    ),
    Panel(
        "Time of a review",
        "s",
        tuple(Query(_quantile(share, _DURATION), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)),
        "From the complete request to its answer; mostly less than a millisecond.",
    ),
    Panel(
        "Calls that the API server gave up",
        "short",
        (
            Query(
                "sum by (name) (increase(apiserver_admission_webhook_fail_open_count"
                f'{{name=~".*[.]sidecar[.]hazelcast[.]com"}}{_RATE}))',
                "{{name}}",
            ),
            Query(
                "sum by (name) (increase(apiserver_admission_webhook_rejection_count"
                f'{{name=~".*[.]sidecar[.]hazelcast[.]com", error_type="calling_webhook_error"}}{_RATE}))',
                "{{name}}, refused",
            ),
        ),
        "Needs the API server's metrics. A few, while replicas come and go, are asked again.",
    ),
)

_CONNECTIONS = (
    Panel(
        "Open connections",
        "short",
        (Query(f"{_PREFIX}_open_connections", "{{pod}}"),),
        "Of the webhook's port. API servers keep theirs.",
    ),
    Panel(
        "Refused requests and closed connections",
        "reqps",
        (
            Query(f"sum by (status) (rate({_PREFIX}_refused_requests_total{_RATE}))", "status {{status}}"),
            Query(f"sum by (reason) (rate({_PREFIX}_closed_connections_total{_RATE}))", "closed: {{reason}}"),
        ),
        "What was no review, and clients that were too slow or too many.",
    ),
    Panel(
        "Reloads of certificate and settings",
        "short",
        (
            Query(f"sum(increase({_PREFIX}_certificate_reloads_total{_RATE}))", "certificate"),
            Query(f"sum(increase({_PREFIX}_certificate_failures_total{_RATE}))", "certificate, failed"),
            Query(f"sum(increase({_PREFIX}_settings_reloads_total{_RATE}))", "settings"),
            Query(f"sum(increase({_PREFIX}_settings_failures_total{_RATE}))", "settings, failed"),
        ),
        "Changes that were taken up in place, and those that could not be used.",
    ),
)

_CONTROLLER = (
    Panel(
        "Reconciliations by result",
        "ops",
        (Query(f"sum by (result) (rate({_PREFIX}_controller_reconciles_total{_RATE}))", "{{result}}"),),
        "A conflict is an object of that name that the controller does not manage.",
    ),
    Panel(
        "Time of a reconciliation",
        "s",
        (Query(_quantile(0.99, f"{_PREFIX}_controller_reconcile_duration_seconds_bucket"), "p99"),),
        "Mostly one or two requests to the API server.",
    ),
    Panel(
        "Groups that wait",
        "short",
        (Query(f"max({_PREFIX}_controller_queue_depth)", "groups"),),
        "For a moment only.",
    ),
)

_REQUESTS = (
    Panel(
        "Requests to the API server",
        "reqps",
        (
            Query(f"sum by (pod) (rate({_PREFIX}_controller_api_requests_total{_RATE}))", "{{pod}}"),
            Query(f"sum(rate({_PREFIX}_controller_watch_restarts_total{_RATE}))", "watches begun again"),
        ),
        "Watches included.",
    ),
    Panel(
        "Unexpected, unread and rejected",
        "short",
        (
            Query(
                f"sum by (where) (increase({_PREFIX}_controller_faults_total{_RATE})) > 0", "fault: {{where}}"
            ),
            Query(
                f"sum by (kind) (increase({_PREFIX}_controller_unread_objects_total{_RATE}))",
                "unread: {{kind}}",
            ),
            Query(f"sum(increase({_PREFIX}_controller_statuses_rejected_total{_RATE}))", "rejected statuses"),
        ),
        "Objects that were passed over; normally none.",
    ),
)

_FINDINGS = (
    Panel(
        "Missed and drifted Pods by namespace",
        "short",
        (
            Query(f"max by (namespace) ({_PREFIX}_missed_pods)", "missed: {{namespace}}"),
            Query(f"max by (namespace) ({_PREFIX}_drifted_pods)", "drifted: {{namespace}}"),
        ),
        "Nothing is drawn where there are none.",
    ),
    Panel(
        "Evictions and Events by result",
        "ops",
        (
            Query(
                f"sum by (result) (rate({_PREFIX}_controller_evictions_total{_RATE}))", "eviction: {{result}}"
            ),
            Query(f"sum by (result) (rate({_PREFIX}_controller_events_total{_RATE}))", "Event: {{result}}"),
        ),
        "Evictions only with the component `repair`.",
    ),
    Panel(
        "Split groups",
        "short",
        (
            Query(f"max by (namespace, group) ({_PREFIX}_group_split)", "{{namespace}}/{{group}}"),
            _max(f"{_PREFIX}_controller_split_groups"),
            _max(f"{_PREFIX}_controller_silent_groups"),
        ),
        "Only with the component `watch-groups`. Silent are groups that cannot be asked.",
    ),
)

_PROCESSES = (
    Panel(
        "CPU",
        "short",
        (
            Query(
                f"sum by (pod) (rate(process_cpu_seconds_total{_PROCESS}{_RATE}))",
                "{{pod}}",
            ),
        ),
        "In cores.",
    ),
    Panel(
        "Memory",
        "bytes",
        (Query(f"process_resident_memory_bytes{_PROCESS}", "{{pod}}"),),
        "The manifests allow 256 MiB.",
    ),
    Panel(
        "Versions",
        "short",
        (Query(f"count by (component, version) ({_PREFIX}_build_info)", "{{component}} {{version}}"),),
        "More than one of a component only during a rollout.",
    ),
)

INJECTOR_DASHBOARD = Dashboard(
    "hazelcast-sidecar-injector",
    "Hazelcast sidecar injector",
    (
        ("At a glance", _AT_A_GLANCE),
        ("Admission", _ADMISSION),
        ("The webhook's port", _CONNECTIONS),
        ("Controller", _CONTROLLER),
        ("The controller and the API server", _REQUESTS),
        ("Findings", _FINDINGS),
        ("Processes", _PROCESSES),
    ),
)

_CHOSEN = 'namespace=~"$namespace", group=~"$group"'
_BY_POD = "{{namespace}}/{{pod}}"


def _of_members(attribute: str) -> str:
    return series_of(attribute, _CHOSEN)


def _by_map(title: str, unit: str, expression: str, description: str) -> Panel:
    return Panel(title, unit, (Query(expression, "{{namespace}}/{{group}} {{tag0}}"),), description)


def _sum_by_map(of: str) -> str:
    return f"sum by (namespace, group, tag0) ({of})"


def _latency(operation: str) -> Query:
    """Query the mean time of an operation; Hazelcast counts milliseconds."""
    time, count = (
        _sum_by_map(f"rate({_of_members(attribute)}{_RATE})")
        for attribute in (f"total{operation.title()}Latency", f"{operation}Count")
    )
    return Query(
        f"{time} / 1000 / ({count} > 0)", f"{operation}: {{{{namespace}}}}/{{{{group}}}} {{{{tag0}}}}"
    )


_CLUSTERS = (
    Panel(
        "Members that each member sees",
        "short",
        (Query(_of_members("size"), _BY_POD),),
        "All members of a group see as many as it has Pods; lines apart for minutes are a split.",
    ),
    Panel("Clients", "short", (Query(_of_members("clientCount"), _BY_POD),), "Connected to each member."),
    Panel(
        "Migrations that wait",
        "short",
        (Query(_of_members("migrationQueueSize"), _BY_POD),),
        "Above 0 while members join or leave, then 0 again.",
    ),
)

_MAPS = (
    _by_map(
        "Entries",
        "short",
        _sum_by_map(_of_members("ownedEntryCount")),
        "Of a map, without backups.",
    ),
    _by_map(
        "Backups of each entry",
        "short",
        f"{_sum_by_map(_of_members('backupEntryCount'))} / ({_sum_by_map(_of_members('ownedEntryCount'))} "
        f"> 0)",
        "The map's backup count, 1 by default, where there are so many members; less while backups are made.",
    ),
    _by_map(
        "Evictions",
        "ops",
        _sum_by_map(f"rate({_of_members('evictionCount')}{_RATE})"),
        "Entries that a map's bound on its size or on idle time has removed.",
    ),
    _by_map(
        "Memory of entries", "bytes", _sum_by_map(_of_members("ownedEntryMemoryCost")), "Without backups."
    ),
)

_OPERATIONS = (
    Panel(
        "Reads and puts",
        "ops",
        tuple(
            Query(
                _sum_by_map(f"rate({_of_members(f'{operation}Count')}{_RATE})"),
                f"{operation}: {{{{namespace}}}}/{{{{group}}}} {{{{tag0}}}}",
            )
            for operation in ("get", "put")
        ),
        "That members have done; what a near cache answers is not among them.",
    ),
    Panel(
        "Mean time of an operation",
        "s",
        (_latency("get"), _latency("put")),
        "In the member that owns the entry.",
    ),
    Panel(
        "Operations that wait, or were not answered in time",
        "short",
        (
            Query(_of_members("pending"), f"waiting: {_BY_POD}"),
            Query(f"increase({_of_members('operationTimeoutCount')}{_RATE})", f"timed out: {_BY_POD}"),
        ),
        "A few wait at any time; a number that stays high is a member that does not answer.",
    ),
)

_MEMORY = (
    Panel(
        "Heap in use",
        "percentunit",
        (Query(f"{_of_members('usedHeap')} / {_of_members('maxHeap')}", _BY_POD),),
        "A saw tooth; what counts is its lower edge.",
    ),
    Panel(
        "Time of garbage collections",
        "percentunit",
        (
            Query(
                f"sum by (namespace, pod) (rate(jvm_gc_collection_seconds_sum{{{_CHOSEN}}}{_RATE}))", _BY_POD
            ),
        ),
        "As a part of all time.",
    ),
    Panel(
        "CPU",
        "short",
        (Query(f"rate(process_cpu_seconds_total{{{_CHOSEN}}}{_RATE})", _BY_POD),),
        "Of each member, in cores.",
    ),
    Panel(
        "Memory",
        "bytes",
        (Query(f"process_resident_memory_bytes{{{_CHOSEN}}}", _BY_POD),),
        "Of each member; the kubelet ends it at its limit.",
    ),
)

MEMBERS_DASHBOARD = Dashboard(
    "hazelcast-sidecar-members",
    "Hazelcast members",
    (("Clusters", _CLUSTERS), ("Maps", _MAPS), ("Operations", _OPERATIONS), ("Resources", _MEMORY)),
    (
        Variable("namespace", series_of("size"), "namespace"),
        Variable("group", series_of("size", 'namespace=~"$namespace"'), "group"),
    ),
)

DASHBOARDS = {"injector.json": INJECTOR_DASHBOARD, "members.json": MEMBERS_DASHBOARD}
"""By the file of each."""

DASHBOARDS_MAP = "hazelcast-sidecar-dashboards"
"""The name of the ConfigMap with the dashboards."""


def dashboard_files(namespace: str = INJECTOR) -> dict[str, str]:
    """Return the text of each dashboard's file, by its name.

    Args:
        namespace: the installation's own, whose processes are shown.
    """
    usual, own = (json.dumps(text)[1:-1] for text in (_OWN_NAMESPACE, f'namespace="{namespace}"'))
    return {
        name: json.dumps(dashboard_json(dashboard), indent=1).replace(usual, own) + "\n"
        for name, dashboard in DASHBOARDS.items()
    }


def dashboards_map(namespace: str = INJECTOR) -> JsonObject:
    """Return the ConfigMap that Grafana's sidecar for dashboards looks for by its label.

    Args:
        namespace: the installation's own.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": DASHBOARDS_MAP, "labels": {**INSTALLATION_LABELS, "grafana_dashboard": "1"}},
        "data": dashboard_files(namespace),
    }
