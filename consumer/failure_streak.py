"""Counts consecutive micro-batches that were not committed; computes the pause after each."""

from collections.abc import Callable

MIN_FAILURES = 5
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class FailureStreak:
    """Counts failures since the last commit. A short outage of a broker causes several failures."""

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        """Start with no failures. `seconds`: the minimum duration of a lasting streak."""
        self._seconds = seconds
        self._clock = clock
        self._started_at = 0.0
        self.count = 0

    def end(self) -> None:
        """Reset the count after a commit."""
        self.count = 0

    def add(self) -> None:
        """Count a failure."""
        if self.count == 0:
            self._started_at = self._clock()
        self.count += 1

    @property
    def is_lasting(self) -> bool:
        """True after at least MIN_FAILURES failures, if the first is at least `seconds` ago."""
        return self.count >= MIN_FAILURES and self._clock() - self._started_at >= self._seconds

    @property
    def pause_seconds(self) -> float:
        """Pause before the next try: none after the first failure, then doubling up to a limit."""
        if self.count <= 1:
            return 0.0
        # The exponent is limited, because the power would overflow after a long streak.
        return min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.count - 2, 16), LONGEST_PAUSE_SECONDS)
