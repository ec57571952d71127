"""Unexpected exceptions: the object that caused one is passed over, and everything behind it goes on.

What a tenant writes may one day raise an exception that is on no list, and so may a fault in our own code.
If that ended the process, one object would take the controller from all tenants, and again after each
restart. So each object, and each step of a loop, stands alone: what it raises is counted and logged, and the
next one follows. Cancellation is not a failure, and passes through.
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
    """Counts all of them and logs some: an object that fails at each of its changes must not flood the log.

    Args:
        metrics: counts.
        log: takes lines, at first ten in a row from each place, then one in ten seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self, metrics: ControllerMetrics, log: LogLine, clock: Callable[[], float] = monotonic
    ) -> None:
        self._metrics, self._log = metrics, SampledLog(log, _BURST, _PER_SECOND, clock)

    def note(self, where: Where, error: BaseException, **fields: object) -> None:
        """Count and log one.

        Args:
            where: what was being done.
            error: what it raised.
            fields: further ones of the line, such as the object's name.
        """
        self._metrics.faults[where].inc()
        self._log(where, "passed over", "error", where=where.value, error=in_short(error), **fields)

    @contextmanager
    def pass_over(self, where: Where, **fields: object) -> Iterator[None]:
        """Do something with one object, and go on behind it if that raises an unexpected exception.

        What a request raises is not the object's: it passes through, to be tried again as a whole.
        """
        try:
            yield
        except (*CONNECTION_ERRORS, ApiError):
            raise
        except Exception as error:  # noqa: BLE001 - see the module
            self.note(where, error, **fields)
