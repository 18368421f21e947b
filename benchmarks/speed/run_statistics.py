"""What contestants' runs gave, and what is said of several: medians, spreads, ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

MIN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class DrainRun:
    """One contestant drained a topic once."""

    rows: int
    seconds: float
    cpu_seconds: float
    events: int = 0
    dead_letters: int = 0
    memory_mb: float = 0.0
    """Resident at the end; 0: not looked at."""
    peak_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """Seconds of CPU for a million rows."""
        return 1_000_000 * self.cpu_seconds / self.rows


@dataclass(frozen=True, slots=True)
class MedianAndRange:
    """The middle of several figures, and how far they lie apart."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Write it as `0.41 (0.38..0.43)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


def median_and_range(figures: Sequence[float]) -> MedianAndRange:
    """Return median, lowest and highest."""
    return MedianAndRange(median(figures), min(figures), max(figures))


Round = Mapping[str, DrainRun]
"""Each contestant's run of one round, by name; contestants may sit a round out."""


def runs_of(rounds: Sequence[Round], name: str) -> list[DrainRun]:
    """Return a contestant's runs."""
    return [runs_by_name[name] for runs_by_name in rounds if name in runs_by_name]


def rate_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return a contestant's rate over another's, round by round: the machine is shared evenly."""
    return [
        runs_by_name[name].rate / runs_by_name[baseline].rate
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def cpu_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return a contestant's CPU per row over another's, round by round."""
    return [
        runs_by_name[name].cpu_per_million / runs_by_name[baseline].cpu_per_million
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def marginal_run(short: DrainRun, long: DrainRun) -> DrainRun:
    """Return what the rows between a short and a long run took: start-up falls out.

    Raises ValueError where the start shook by more than the rows took.
    """
    if long.seconds <= short.seconds or long.cpu_seconds <= short.cpu_seconds:
        raise ValueError(f"{long.rows:,} rows took no longer than {short.rows:,}: take more")
    return DrainRun(
        long.rows - short.rows,
        long.seconds - short.seconds,
        long.cpu_seconds - short.cpu_seconds,
        long.events,
        long.dead_letters,
    )


def mean_seconds(call: Callable[[], object]) -> float:
    """Return the mean time of a call, over at least LEAST_SECONDS."""
    calls, start_time = 0, perf_counter()
    while (elapsed := perf_counter() - start_time) < MIN_SECONDS:
        call()
        calls += 1
    return elapsed / calls
