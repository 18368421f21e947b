"""Figures of drain runs, and their medians, ranges and ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

MIN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class DrainRun:
    """Figures of one system that drained a topic once."""

    rows: int
    seconds: float
    cpu_seconds: float
    events: int = 0
    dead_letters: int = 0
    memory_mb: float = 0.0
    """Resident memory at the end; 0: not measured."""
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
    """Median, lowest and highest of several figures."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Return a text such as `0.41 (0.38..0.43)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


def median_and_range(figures: Sequence[float]) -> MedianAndRange:
    """Return median, lowest and highest of figures."""
    return MedianAndRange(median(figures), min(figures), max(figures))


Round = Mapping[str, DrainRun]
"""Runs of one round by system name; a system that failed is missing."""


def runs_of(rounds: Sequence[Round], name: str) -> list[DrainRun]:
    """Return the runs of a system in all rounds."""
    return [runs_by_name[name] for runs_by_name in rounds if name in runs_by_name]


def rate_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return a system's rate divided by the baseline's, for each round that has both."""
    return [
        runs_by_name[name].rate / runs_by_name[baseline].rate
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def cpu_ratios(rounds: Sequence[Round], name: str, baseline: str) -> list[float]:
    """Return a system's CPU per row divided by the baseline's, for each round that has both."""
    return [
        runs_by_name[name].cpu_per_million / runs_by_name[baseline].cpu_per_million
        for runs_by_name in rounds
        if name in runs_by_name and baseline in runs_by_name
    ]


def marginal_run(short: DrainRun, long: DrainRun) -> DrainRun:
    """Return the difference between a long and a short run, which leaves out the start.

    Raises ValueError if the long run did not take longer than the short run.
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
    """Return the mean time of a call, measured for at least MIN_SECONDS."""
    calls, start_time = 0, perf_counter()
    while (elapsed := perf_counter() - start_time) < MIN_SECONDS:
        call()
        calls += 1
    return elapsed / calls
