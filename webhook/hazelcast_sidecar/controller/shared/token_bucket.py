"""A token bucket, which allows a burst and then a steady rate."""

from collections.abc import Callable
from time import monotonic


class TokenBucket:
    """Token bucket that computes waiting times, and never waits itself.

    Args:
        burst: tokens in a full bucket, the initial state.
        per_second: tokens that flow in.
        clock: a clock in seconds.
    """

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> float:
        """Take a token, and return the seconds until it is available."""
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)

    def take_if_there(self) -> bool:
        """Take a token if it is available, and return whether it was."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
