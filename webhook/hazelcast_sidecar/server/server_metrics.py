"""The server's metrics, with every label bound at start."""

from http import HTTPStatus

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.runtime.connections import Closed
from hazelcast_sidecar.runtime.program_metrics import program_registry
from hazelcast_sidecar.runtime.reload import count_reloads

SECONDS_BUCKETS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05),
    *(0.25, 1.0, 2.5, 5.0, 10.0),
)
"""Bucket bounds: most admissions take well under a millisecond; API servers give up after some seconds."""

REFUSALS = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestEntityTooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaType",
    HTTPStatus.EXPECTATION_FAILED: "ExpectationFailed",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError",
}
"""The HTTP statuses of refused requests, each with its reason in a Kubernetes Status."""


class ServerMetrics:
    """Admissions by outcome, refused requests by HTTP status, and reloads of files."""

    def __init__(self) -> None:
        self._registry = program_registry()
        requests = Counter(
            "hazelcast_sidecar_admission_requests",
            "Admission reviews answered, by outcome.",
            ["outcome"],
            registry=self._registry,
        )
        refused = Counter(
            "hazelcast_sidecar_refused_requests",
            "HTTP requests that were not admission reviews, by HTTP status.",
            ["status"],
            registry=self._registry,
        )
        closed = Counter(
            "hazelcast_sidecar_closed_connections",
            "Connections closed by the server before their clients did, by reason.",
            ["reason"],
            registry=self._registry,
        )
        self._closed = {reason: closed.labels(reason.value).inc for reason in Closed}
        self.open_connections = Gauge(
            "hazelcast_sidecar_open_connections",
            "Connections of the webhook's port, including those in their TLS handshake.",
            registry=self._registry,
        )
        self._answered = {reason: requests.labels(reason.value).inc for reason in Reason}
        self._refused = {status: refused.labels(str(status.value)).inc for status in REFUSALS}
        self.observe_seconds = Histogram(
            "hazelcast_sidecar_admission_duration_seconds",
            "Time from the complete request to its answer.",
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        ).observe
        self.certificate_expiry = Gauge(
            "hazelcast_sidecar_certificate_expiry_timestamp_seconds",
            "Expiry of the served certificate.",
            registry=self._registry,
        )
        self.certificate = count_reloads(self._registry, "certificate")
        self.settings = count_reloads(self._registry, "settings")

    def answered(self, reason: Reason) -> None:
        """Count one review."""
        self._answered[reason]()

    def refused(self, status: int) -> None:
        """Count one request that was answered with an HTTP error."""
        self._refused[HTTPStatus(status)]()

    def closed(self, reason: Closed) -> None:
        """Count one connection that the server closed before its client did."""
        self._closed[reason]()

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
