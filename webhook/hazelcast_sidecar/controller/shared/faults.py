"""Unexpected exceptions, each confined to the object that caused it.

What a tenant writes may one day raise an unforeseen exception, and so may a bug in our own code. If that
ended the process, one object would take the controller from all tenants, and again after each restart. So
each object, and each step of a loop, is isolated: its exception is counted and logged, and the next one
follows. Cancellation is not a failure, and passes through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.errors import in_short
from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, ApiError
from hazelcast_sidecar.runtime.log import LogLine

_BURST, _PER_SECOND = 10, 0.1


class Faults:
    """Counter of unexpected exceptions, with a limited log: one object must not flood it.

    Args:
        metrics: count them.
        log: receives up to ten lines in a row from each place, then one in ten seconds.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self, metrics: ControllerMetrics, log: LogLine, clock: Callable[[], float] = monotonic
    ) -> None:
        self._metrics, self._log = metrics, SampledLog(log, _BURST, _PER_SECOND, clock)

    def note(self, where: Where, error: BaseException, **fields: object) -> None:
        """Count an exception, and log it within limits.

        Args:
            where: what was being done.
            error: the exception.
            fields: further fields of the line, such as the object's name.
        """
        self._metrics.faults[where].inc()
        self._log(
            where,
            "skipped after an unexpected exception",
            "error",
            where=where.value,
            error=in_short(error),
            **fields,
        )

    @contextmanager
    def pass_over(self, where: Where, **fields: object) -> Iterator[None]:
        """Process one object, and go on if that raises an unexpected exception.

        Failures of requests are not the object's: they pass through, to be retried as a whole.
        """
        try:
            yield
        except (*CONNECTION_ERRORS, ApiError):
            raise
        except Exception as error:  # noqa: BLE001 - see the module
            self.note(where, error, **fields)
