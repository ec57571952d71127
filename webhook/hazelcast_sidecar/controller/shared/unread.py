"""Objects that were passed over, as they could not be read: counted all, logged now and then."""

from collections.abc import Callable
from time import monotonic

from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.kube.bounded import TooLongError
from hazelcast_sidecar.kube.client import in_words
from hazelcast_sidecar.kube.objects import Kind
from hazelcast_sidecar.runtime.log import LogLine

_QUIET_SECONDS = 60.0
"""From one line of the log to the next of the same kind: anyone may make many such objects."""

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
        self._metrics, self._log, self._clock = metrics, log, clock
        self._quiet_until: dict[str, float] = {}

    def note(self, kind: Kind, name: str, why: Exception) -> None:
        """Count an object, and log it unless another one of its kind was logged a short while ago.

        Args:
            kind: of the object.
            name: its name, behind its namespace and a slash; empty where it is not known.
            why: what reading it raised.
        """
        reason = "long" if isinstance(why, TooLongError) else "malformed"
        self._metrics.unread.labels(kind.name, reason).inc()
        now = self._clock()
        if now < self._quiet_until.get(kind.name, now):
            return
        self._quiet_until[kind.name] = now + _QUIET_SECONDS
        self._log(
            "object passed over", level="warning", kind=kind.name, name=name, why=in_words(why)[:_MAX_SHOWN]
        )
