"""Unreadable objects, which are skipped, counted, and logged now and then."""

from collections.abc import Callable
from time import monotonic

from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.kube.bounded import TooLongError
from hazelcast_sidecar.kube.client import in_words
from hazelcast_sidecar.kube.objects import Kind
from hazelcast_sidecar.runtime.log import LogLine

_BURST, _PER_SECOND = 1, 1 / 60
"""Lines of the log about objects of one kind: anyone may make many such objects."""

_MAX_SHOWN = 300
"""Characters of an error that are logged; it may repeat what is in the object."""


class UnreadObjects:
    """Recorder of unreadable objects.

    Args:
        metrics: count all.
        log: receives the first of a kind of objects, and then one a minute.
        clock: a clock in seconds.
    """

    def __init__(
        self, metrics: ControllerMetrics, log: LogLine, clock: Callable[[], float] = monotonic
    ) -> None:
        self._metrics, self._log = metrics, SampledLog(log, _BURST, _PER_SECOND, clock)

    def note(self, kind: Kind, name: str, why: Exception) -> None:
        """Count an object, and log it unless another one of its kind was logged a short while ago.

        Args:
            kind: of the object.
            name: namespace/name; empty if unknown.
            why: the exception of reading it.
        """
        reason = "long" if isinstance(why, TooLongError) else "malformed"
        self._metrics.unread.labels(kind.name, reason).inc()
        shown = in_words(why)[:_MAX_SHOWN]
        self._log(kind.name, "unreadable object skipped", "warning", kind=kind.name, name=name, why=shown)
