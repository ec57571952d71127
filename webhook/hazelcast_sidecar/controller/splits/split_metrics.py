"""Metrics of groups that are split; they are there only where members are asked."""

from collections.abc import Callable, Collection, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hazelcast_sidecar.controller.reconcile.groups import Key
from hazelcast_sidecar.controller.shared.bounded_series import (
    MAX_SERIES,
    MAX_SERIES_OF_NAMESPACE,
    with_series,
)

_PREFIX = "hazelcast_sidecar"


class SplitMetrics(Collector):
    """The groups that are split now, and those of which it is not known."""

    def __init__(self) -> None:
        self.split: Sequence[Key] = ()
        """The groups that are reported as split, in the order of the reports."""
        self.silent: Collection[Key] = ()
        """The groups of which members that are ready could not be asked."""
        self.asked: Callable[[], int] = lambda: 0
        """Returns how many members were asked."""
        self._asked_before = 0

    def take_over(self, asked: Callable[[], int]) -> None:
        """Begin a term of this leader, with a new count of members that were asked."""
        self._asked_before += self.asked()
        self.asked = asked

    def clear(self) -> None:
        """Forget all groups, because another replica may lead now."""
        self.split = self.silent = ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now; a series of a group vanishes with its split."""
        groups = GaugeMetricFamily(
            f"{_PREFIX}_group_split",
            f"1 for each group that is not one cluster: of {MAX_SERIES} groups at most, and "
            f"{MAX_SERIES_OF_NAMESPACE} of one namespace.",
            labels=["namespace", "group"],
        )
        for key in with_series(self.split):
            groups.add_metric([key.namespace, key.group], 1)
        yield groups
        yield GaugeMetricFamily(
            f"{_PREFIX}_controller_split_groups", "Groups that are not one cluster.", value=len(self.split)
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}_controller_silent_groups",
            "Groups of which members could not be asked, though they are ready.",
            value=len(self.silent),
        )
        yield CounterMetricFamily(
            f"{_PREFIX}_controller_members_asked",
            "Members that were asked for their view of their cluster.",
            value=self._asked_before + self.asked(),
        )
