"""Metrics of what the audit found: how many Pods in all, and in which namespaces."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hazelcast_sidecar.controller.shared.bounded_series import MAX_SERIES

_PREFIX = "hazelcast_sidecar"


class AuditMetrics(Collector):
    """Missed and drifted Pods as they are now.

    Args:
        missed: returns the number of missed Pods of each namespace that has some.
        drifted: returns that of drifted Pods likewise.
    """

    def __init__(self, missed: Callable[[], Counter[str]], drifted: Callable[[], Counter[str]]) -> None:
        self._found = (
            ("missed", "Pods that ask for a member and run without one", missed),
            ("drifted", "Pods whose member does not match the current settings", drifted),
        )

    def collect(self) -> Iterator[Metric]:
        """Yield both, each as a total and by namespace; the series of a namespace goes with its last Pod."""
        for name, meaning, count in self._found:
            namespaces = count()
            yield GaugeMetricFamily(
                f"{_PREFIX}_controller_{name}_pods", f"{meaning}.", value=namespaces.total()
            )
            family = GaugeMetricFamily(
                f"{_PREFIX}_{name}_pods",
                f"{meaning}, by namespace: of the {MAX_SERIES} namespaces with the most.",
                labels=["namespace"],
            )
            for namespace, pods in namespaces.most_common(MAX_SERIES):
                family.add_metric([namespace], pods)
            yield family
