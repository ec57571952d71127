"""What every program of ours exposes to Prometheus: its process, and its version."""

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics

from hazelcast_sidecar.version import __version__

disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for every counter, of no use to a program that runs for weeks


def program_registry() -> CollectorRegistry:
    """Make the registry of a program's metrics, with those that all programs have."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    version = Gauge(
        "hazelcast_sidecar_build_info", "Version of this program.", ["version"], registry=registry
    )
    version.labels(__version__).set(1)
    return registry
