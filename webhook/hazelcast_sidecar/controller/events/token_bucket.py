"""A token bucket: some at once, then so many a second."""

from collections.abc import Callable
from time import monotonic


class TokenBucket:
    """Says how long to wait, and waits for nothing itself.

    Args:
        burst: tokens in a full bucket, as it is at first.
        per_second: that flow in.
        clock: seconds, from any point on.
    """

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> float:
        """Take a token; the seconds until it is there, where others have taken those that were."""
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)

    def take_if_there(self) -> bool:
        """Take a token unless one would have to be waited for; whether it was taken."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
