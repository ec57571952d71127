"""Objects that were passed over, as they could not be read: counted all, logged now and then."""

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
"""Characters of an error, which may repeat what is in the object."""


class UnreadObjects:
    """Takes note of objects that were passed over.

    Args:
        metrics: count each.
        log: takes the first of a kind of objects, and then one a minute.
        clock: seconds, from any point on.
    """

    def __init__(
        self, metrics: ControllerMetrics, log: LogLine, clock: Callable[[], float] = monotonic
    ) -> None:
        self._metrics, self._log = metrics, SampledLog(log, _BURST, _PER_SECOND, clock)

    def note(self, kind: Kind, name: str, why: Exception) -> None:
        """Count an object, and log it unless another one of its kind was logged a short while ago.

        Args:
            kind: of the object.
            name: its name, behind its namespace and a slash; empty where it is not known.
            why: what reading it raised.
        """
        reason = "long" if isinstance(why, TooLongError) else "malformed"
        self._metrics.unread.labels(kind.name, reason).inc()
        shown = in_words(why)[:_MAX_SHOWN]
        self._log(kind.name, "object passed over", "warning", kind=kind.name, name=name, why=shown)
