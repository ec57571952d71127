"""The controller's metrics."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from hazelcast_sidecar.runtime.program_metrics import program_registry
from hazelcast_sidecar.runtime.reload import count_reloads

_PREFIX = "hazelcast_sidecar_controller"
_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
RESULTS = ("ok", "conflict", "error")
EVICTION_RESULTS = ("evicted", "budget", "gone", "error")
EVENT_RESULTS = ("sent", "failed", "dropped", "unconfirmed")


class Where(StrEnum):
    """What was being done when an unexpected exception was raised."""

    INDEX = "index"  # an object was taken into an index
    WATCH = "watch"
    RECONCILE = "reconcile"
    LEFTOVERS = "leftovers"  # objects of groups without Pods
    EVENT = "event"  # an Event was written
    DENIAL = "denial"  # an Event of others was read
    AUDIT = "audit"
    REPAIR = "repair"
    SPLITS = "splits"  # the members of a group were asked
    CERTIFICATES = "certificates"
    OWNER = "owner"  # of the webhook's configuration
    ELECTION = "election"
    SETTINGS = "settings"


class _Requests(Collector):
    """The requests to the API server, which its client counts."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        """Yield the counter as it is now."""
        yield CounterMetricFamily(
            f"{_PREFIX}_api_requests", "Requests to the API server, watches included.", value=self._count()
        )


class ControllerMetrics:
    """Reconciliations, the queue, watched Pods, Events, and the leader."""

    def __init__(
        self, *, pods: Callable[[], int], queue_depth: Callable[[], int], requests: Callable[[], int]
    ) -> None:
        registry = self._registry = program_registry()
        prefix = _PREFIX
        reconciles = Counter(
            f"{prefix}_reconciles", "Reconciliations of groups, by result.", ["result"], registry=registry
        )
        self.reconciled = {result: reconciles.labels(result) for result in RESULTS}
        events = Counter(
            f"{prefix}_events",
            "Events for workloads: sent, failed, dropped as too many waited, or without an existing object.",
            ["result"],
            registry=registry,
        )
        self.events = {result: events.labels(result) for result in EVENT_RESULTS}
        self.seconds = Histogram(
            f"{prefix}_reconcile_duration_seconds",
            "Time to reconcile one group.",
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self.unread = Counter(
            f"{prefix}_unread_objects",
            "Objects that were skipped because they could not be read: too long, or malformed.",
            ["kind", "reason"],
            registry=registry,
        )
        self.rejected = Counter(
            f"{prefix}_statuses_rejected",
            "Pods whose status annotation contradicts their spec.",
            registry=registry,
        )
        self.leader = Gauge(f"{prefix}_leader", "1 while this replica leads.", registry=registry)
        self.watch_restarts = Counter(
            f"{prefix}_watch_restarts", "Watches that ended with an error.", registry=registry
        )
        registry.register(_Requests(requests))
        certificates = Gauge(
            f"{prefix}_certificate_expiry_timestamp_seconds",
            "Expiry of a certificate that this replica maintains.",
            ["certificate"],
            registry=registry,
        )
        self.certificate_expiry = {name: certificates.labels(name) for name in ("ca", "leaf")}
        Gauge(f"{prefix}_watched_pods", "Injected Pods known.", registry=registry).set_function(pods)
        Gauge(
            f"{prefix}_queue_depth", "Groups that wait for reconciliation.", registry=registry
        ).set_function(queue_depth)

        evictions = Counter(
            f"{prefix}_evictions", "Requested evictions, by result.", ["result"], registry=registry
        )
        self.evictions = {result: evictions.labels(result) for result in EVICTION_RESULTS}
        faults = Counter(
            f"{prefix}_faults",
            "Unexpected exceptions, each of an object or a step that was skipped, by place.",
            ["where"],
            registry=registry,
        )
        self.faults = {where: faults.labels(where.value) for where in Where}
        self.settings = count_reloads(registry, "settings")

    def add(self, further: Collector) -> None:
        """Show further metrics, of one of the jobs."""
        self._registry.register(further)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
