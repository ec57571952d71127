"""Lines of the log that anyone may cause: some are written, and the others are counted for the next one."""

from collections import Counter
from collections.abc import Callable
from time import monotonic

from hazelcast_sidecar.controller.shared.token_bucket import TokenBucket
from hazelcast_sidecar.runtime.log import LogLine


class SampledLog:
    """Writes at first some lines of each sort, then one now and then: a flood of one sort hides no other.

    Args:
        log: takes the lines.
        burst: lines of a sort in a row.
        per_second: lines of a sort after that.
        clock: seconds that only grow.
    """

    def __init__(
        self, log: LogLine, burst: int, per_second: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._log, self._burst, self._per_second, self._clock = log, burst, per_second, clock
        self._buckets: dict[str, TokenBucket] = {}
        self._unlogged: Counter[str] = Counter()

    def __call__(self, sort: str, message: str, level: str, **fields: object) -> bool:
        """Write a line, with how many of its sort were left out since the last one, or leave it out.

        Args:
            sort: what shares a rate; there must be few of them.
            message: of the line.
            level: of the line.
            fields: further ones of it.

        Returns:
            Whether it was written, for what is to be as rare as the lines.
        """
        bucket = self._buckets.get(sort)
        if bucket is None:
            bucket = self._buckets[sort] = TokenBucket(self._burst, self._per_second, self._clock)
        if not bucket.take_if_there():
            self._unlogged[sort] += 1
            return False
        unlogged = self._unlogged.pop(sort, 0)
        self._log(message, level=level, **fields, **({"unlogged": unlogged} if unlogged else {}))
        return True
