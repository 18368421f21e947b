"""Compare the measured with the configured alert rate on clean rows outside the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.backtest_runs import RecordStream
from benchmarks.quality.clean_streams import CleanStreamKind, clean_stream
from benchmarks.quality.compared_detectors import ComparedDetector, default_detectors, ewma_rule
from benchmarks.quality.quality_targets import RATE_FACTOR
from benchmarks.report.figures_table import Table

CONFIGURED_RATES = (0.001, 0.005, 0.02)


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """Measured alert rate of one detector on one stream, for one configured alert rate."""

    name: str
    stream: str
    configured: float
    rate: float
    """Share of the judged rows with an alarm: the measured alert rate."""
    episodes: int
    rows: int

    @property
    def ratio(self) -> float:
        """Measured alert rate divided by the configured rate."""
        return self.rate / self.configured


def load() -> list[RecordStream]:
    """Return one clean stream of each kind."""
    return [clean_stream(kind).stream() for kind in CleanStreamKind]


def detectors_for_rate(rate: float, *, is_default_only: bool) -> list[ComparedDetector]:
    """Return all detectors with a configurable alert rate, configured for `rate`."""
    return (
        default_detectors(rate=rate)[:1]
        if is_default_only
        else [*default_detectors(rate=rate), ewma_rule(rate)]
    )


def measure(
    streams: Sequence[RecordStream], detector: ComparedDetector, rate: float, *, processes: int = 1
) -> list[MeasuredRate]:
    """Return the measured alert rates of a detector that is configured for `rate`."""
    results = detector.fit_and_score_all(streams, processes=processes)
    return [
        MeasuredRate(
            detector.name,
            stream.name,
            rate,
            float(judged_rows.is_anomaly.mean()),
            int(judged_rows.is_episode_start.sum()),
            stream.judged_rows,
        )
        for stream, judged_rows in zip(streams, results, strict=True)
    ]


def table(measured_rates: Sequence[MeasuredRate]) -> Table:
    """Return the table of alert rates: a row per detector and stream, a column per target rate."""
    cells_by_row: dict[tuple[str, str], list[str]] = {}
    for measured_rate in measured_rates:
        out_of_range_mark = "" if 1 / RATE_FACTOR <= measured_rate.ratio <= RATE_FACTOR else " !"
        cell = f"{measured_rate.rate:.5f} ({measured_rate.ratio:.2f}){out_of_range_mark}"
        cells_by_row.setdefault((measured_rate.name, measured_rate.stream), []).append(cell)
    return Table(
        "Realised alert rate on clean unseen streams, and its ratio to the configured one",
        ("", "stream", *(f"configured {rate:g}" for rate in CONFIGURED_RATES)),
        [(name, stream, *cells) for (name, stream), cells in cells_by_row.items()],
        f"{measured_rates[0].rows:,} judged rows each. !: not within a factor of {RATE_FACTOR:g}.",
    )
