"""Whether as many rows alarm on clean unseen streams as were configured to."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.backtest_runs import Stream
from benchmarks.quality.clean_streams import Kind, clean
from benchmarks.quality.compared_detectors import Contestant, ewma, ours
from benchmarks.quality.quality_targets import RATE_FACTOR
from benchmarks.report.figures_table import Table

RATES = (0.001, 0.005, 0.02)


@dataclass(frozen=True, slots=True)
class Realised:
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


def load() -> list[Stream]:
    """Draw the clean streams."""
    return [clean(kind).stream() for kind in Kind]


def compared(rate: float, *, alone: bool) -> list[Contestant]:
    """List who can be asked for a rate."""
    return ours(rate=rate)[:1] if alone else [*ours(rate=rate), ewma(rate)]


def measure(
    streams: Sequence[Stream], contestant: Contestant, rate: float, *, processes: int = 1
) -> list[Realised]:
    """Run a contestant that was asked for a rate over the streams."""
    judged = contestant.over(streams, processes=processes)
    return [
        Realised(
            contestant.name,
            stream.name,
            rate,
            float(one.is_anomaly.mean()),
            int(one.starts.sum()),
            stream.judged_rows,
        )
        for stream, one in zip(streams, judged, strict=True)
    ]


def table(found: Sequence[Realised]) -> Table:
    """Write the figures: a line for each contestant and stream, a column for each rate."""
    lines: dict[tuple[str, str], list[str]] = {}
    for one in found:
        mark = "" if 1 / RATE_FACTOR <= one.ratio <= RATE_FACTOR else " !"
        cell = f"{one.rate:.5f} ({one.ratio:.2f}){mark}"
        lines.setdefault((one.name, one.stream), []).append(cell)
    return Table(
        "Realised alert rate on clean unseen streams, and its ratio to the configured one",
        ("", "stream", *(f"configured {rate:g}" for rate in RATES)),
        [(name, stream, *cells) for (name, stream), cells in lines.items()],
        f"{found[0].rows:,} judged rows each. !: not within a factor of {RATE_FACTOR:g}.",
    )
