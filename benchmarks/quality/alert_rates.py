"""Whether as many rows alarm on clean unseen streams as were configured to."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.backtest_runs import RecordStream
from benchmarks.quality.clean_streams import CleanStreamKind, clean_stream
from benchmarks.quality.compared_detectors import ComparedDetector, default_detectors, ewma
from benchmarks.quality.quality_targets import RATE_FACTOR
from benchmarks.report.figures_table import Table

RATES = (0.001, 0.005, 0.02)


@dataclass(frozen=True, slots=True)
class RealisedRate:
    """A contestant on one stream at one configured rate."""

    name: str
    stream: str
    configured: float
    rate: float
    """Alarmed share of the judged rows."""
    episodes: int
    rows: int

    @property
    def ratio(self) -> float:
        """Realised to configured."""
        return self.rate / self.configured


def load() -> list[RecordStream]:
    """Draw the clean streams."""
    return [clean_stream(kind).stream() for kind in CleanStreamKind]


def compared(rate: float, *, is_default_only: bool) -> list[ComparedDetector]:
    """List who can be asked for a rate."""
    return (
        default_detectors(rate=rate)[:1]
        if is_default_only
        else [*default_detectors(rate=rate), ewma(rate)]
    )


def measure(
    streams: Sequence[RecordStream], detector: ComparedDetector, rate: float, *, processes: int = 1
) -> list[RealisedRate]:
    """Run a contestant that was asked for a rate over the streams."""
    judged = detector.judge_all(streams, processes=processes)
    return [
        RealisedRate(
            detector.name,
            stream.name,
            rate,
            float(realised.is_anomaly.mean()),
            int(realised.starts.sum()),
            stream.judged_rows,
        )
        for stream, realised in zip(streams, judged, strict=True)
    ]


def table(realised_rates: Sequence[RealisedRate]) -> Table:
    """Write the figures: a line for each contestant and stream, a column for each rate."""
    lines: dict[tuple[str, str], list[str]] = {}
    for realised in realised_rates:
        out_of_range_mark = "" if 1 / RATE_FACTOR <= realised.ratio <= RATE_FACTOR else " !"
        cell = f"{realised.rate:.5f} ({realised.ratio:.2f}){out_of_range_mark}"
        lines.setdefault((realised.name, realised.stream), []).append(cell)
    return Table(
        "Realised alert rate on clean unseen streams, and its ratio to the configured one",
        ("", "stream", *(f"configured {rate:g}" for rate in RATES)),
        [(name, stream, *cells) for (name, stream), cells in lines.items()],
        f"{realised_rates[0].rows:,} judged rows each. !: not within a factor of {RATE_FACTOR:g}.",
    )
