"""Measurements of runs that drain a topic, and their medians, ranges and ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

MIN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class DrainRun:
    """Measurements of one run, in which a system drained a topic."""

    rows: int
    seconds: float
    cpu_seconds: float
    events: int = 0
    dead_letters: int = 0
    memory_mb: float = 0.0
    """Resident memory at the end of the run; 0 if it was not measured."""
    peak_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Drained rows per second."""
        return self.rows / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million rows."""
        return 1_000_000 * self.cpu_seconds / self.rows


@dataclass(frozen=True, slots=True)
class MedianAndRange:
    """Median, lowest and highest of several measurements."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Return median, lowest and highest as text, such as `0.41 (0.38..0.43)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


def median_and_range(figures: Sequence[float]) -> MedianAndRange:
    """Return the median, the lowest and the highest of `figures`."""
    return MedianAndRange(median(figures), min(figures), max(figures))


Round = Mapping[str, DrainRun]
"""The runs of a round by the system's name; systems that failed are missing."""


def runs_of(rounds: Sequence[Round], name: str) -> list[DrainRun]:
    """Return the runs of the system `name` in all rounds."""
    return [runs_by_name[name] for runs_by_name in rounds if name in runs_by_name]


def rate_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return, for each round, the system's rate divided by the rate of the baseline.

    A round in which one of the two failed is left out.
    """
    return [
        runs_by_name[name].rate / runs_by_name[baseline].rate
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def cpu_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return, for each round, the system's CPU time per row divided by that of the baseline.

    A round in which one of the two failed is left out.
    """
    return [
        runs_by_name[name].cpu_per_million / runs_by_name[baseline].cpu_per_million
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def marginal_run(short_run: DrainRun, long_run: DrainRun) -> DrainRun:
    """Return a long run minus a short run, which excludes the time to start.

    Raises ValueError if the long run did not take longer than the short run.
    """
    if long_run.seconds <= short_run.seconds or long_run.cpu_seconds <= short_run.cpu_seconds:
        raise ValueError(
            f"{long_run.rows:,} rows took no longer than {short_run.rows:,}: take more"
        )
    return DrainRun(
        long_run.rows - short_run.rows,
        long_run.seconds - short_run.seconds,
        long_run.cpu_seconds - short_run.cpu_seconds,
        long_run.events,
        long_run.dead_letters,
    )


def mean_seconds(call: Callable[[], object]) -> float:
    """Return the mean time of a call; it is repeated for at least MIN_SECONDS."""
    calls, start_time = 0, perf_counter()
    while (elapsed := perf_counter() - start_time) < MIN_SECONDS:
        call()
        calls += 1
    return elapsed / calls
