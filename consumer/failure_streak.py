"""Micro-batches in a row that were not committed, and when to stop trying."""

from collections.abc import Callable

MIN_FAILURES = 5
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class FailureStreak:
    """Counts failures since the last commit; a broker that is away for a moment causes several."""

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        """`seconds`: how long failures may go on before they count as lasting."""
        self._seconds = seconds
        self._clock = clock
        self._began = 0.0
        self.count = 0

    def end(self) -> None:
        """Forget the failures: a micro-batch was committed."""
        self.count = 0

    def add(self) -> None:
        """Count one more failure."""
        if self.count == 0:
            self._began = self._clock()
        self.count += 1

    @property
    def lasting(self) -> bool:
        """Whether there were so many failures, for so long, that waiting will not help."""
        return self.count >= MIN_FAILURES and self._clock() - self._began >= self._seconds

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next try: not at all after the first failure."""
        if self.count <= 1:
            return 0.0
        # The exponent is bounded: a long streak must not overflow.
        return min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.count - 2, 16), LONGEST_PAUSE_SECONDS)
