"""Compare the alert rate on clean unseen streams with the configured rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.backtest_runs import RecordStream
from benchmarks.quality.clean_streams import CleanStreamKind, clean_stream
from benchmarks.quality.compared_detectors import ComparedDetector, default_detectors, ewma_rule
from benchmarks.quality.quality_targets import RATE_FACTOR
from benchmarks.report.figures_table import Table

CONFIGURED_RATES = (0.001, 0.005, 0.02)


@dataclass(frozen=True, slots=True)
class RealisedRate:
    """Alert rate of one detector on one stream at one configured rate."""

    name: str
    stream: str
    configured: float
    rate: float
    """Alarmed share of the judged rows."""
    episodes: int
    rows: int

    @property
    def ratio(self) -> float:
        """Realised rate divided by configured rate."""
        return self.rate / self.configured


def load() -> list[RecordStream]:
    """Return the clean streams."""
    return [clean_stream(kind).stream() for kind in CleanStreamKind]


def detectors_for_rate(rate: float, *, is_default_only: bool) -> list[ComparedDetector]:
    """Return the detectors that can be configured for an alert rate."""
    return (
        default_detectors(rate=rate)[:1]
        if is_default_only
        else [*default_detectors(rate=rate), ewma_rule(rate)]
    )


def measure(
    streams: Sequence[RecordStream], detector: ComparedDetector, rate: float, *, processes: int = 1
) -> list[RealisedRate]:
    """Return the realised rates of a detector that is configured for `rate`."""
    judged = detector.judge_all(streams, processes=processes)
    return [
        RealisedRate(
            detector.name,
            stream.name,
            rate,
            float(realised.is_anomaly.mean()),
            int(realised.is_episode_start.sum()),
            stream.judged_rows,
        )
        for stream, realised in zip(streams, judged, strict=True)
    ]


def table(realised_rates: Sequence[RealisedRate]) -> Table:
    """Return a table with a row per detector and stream, and a column per rate."""
    cells_by_row: dict[tuple[str, str], list[str]] = {}
    for realised in realised_rates:
        out_of_range_mark = "" if 1 / RATE_FACTOR <= realised.ratio <= RATE_FACTOR else " !"
        cell = f"{realised.rate:.5f} ({realised.ratio:.2f}){out_of_range_mark}"
        cells_by_row.setdefault((realised.name, realised.stream), []).append(cell)
    return Table(
        "Realised alert rate on clean unseen streams, and its ratio to the configured one",
        ("", "stream", *(f"configured {rate:g}" for rate in CONFIGURED_RATES)),
        [(name, stream, *cells) for (name, stream), cells in cells_by_row.items()],
        f"{realised_rates[0].rows:,} judged rows each. !: not within a factor of {RATE_FACTOR:g}.",
    )
