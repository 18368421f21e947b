"""The speed targets, and a table that compares measurements with the targets."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.report.figures_table import Table
from benchmarks.speed.run_statistics import MedianAndRange


@dataclass(frozen=True, slots=True)
class SpeedTarget:
    """A required and a desired value of a measurement."""

    title: str
    required: float
    desired: float
    unit: str = "x"
    lower_is_better: bool = False
    digits: int = 2

    def level_reached(self, figure: float) -> str:
        """Return `aim` if `figure` reaches `desired`, `must` if only `required`, else `no`."""
        sign = -1 if self.lower_is_better else 1
        if sign * figure >= sign * self.desired:
            return "aim"
        return "must" if sign * figure >= sign * self.required else "no"


FOREST_BULK = SpeedTarget("speed of the forest kernel / scikit-learn, many rows", 5.5, 8)
FOREST_ONE = SpeedTarget("speed of the forest kernel / scikit-learn, one row", 500, 500, digits=0)
PARSE_PYDANTIC = SpeedTarget(
    "speed of parsing to columns / a pydantic model per row", 20, 40, digits=1
)
PARSE_MSGSPEC = SpeedTarget("speed of parsing to columns / msgspec and numpy", 1.5, 3, digits=1)
PLAIN_RATE = SpeedTarget("drain, plain features: rate / rate of the empty loop", 0.4, 0.55)
PLAIN_CPU = SpeedTarget(
    "drain, plain features: CPU time per row / that of the empty loop", 2.5, 2, lower_is_better=True
)
DEFAULT_RATE = SpeedTarget(
    "drain, default detector, few sensors: rate / rate of the empty loop", 0.28, 0.4
)
MANY_RATE = SpeedTarget(
    "drain, default detector, many sensors: rate / rate of the empty loop", 0.2, 0.3
)
STORM_ROWS = SpeedTarget(
    'drain, every row anomalous, emit = "rows": rate / rate of the clean stream', 0.25, 0.4
)
STORM_EPISODES = SpeedTarget(
    'drain, every row anomalous, emit = "episodes": rate / rate of the clean stream', 0.5, 0.8
)
EXPERT = SpeedTarget("drain: rate / rate of the expert's loop", 3.5, 5, digits=1)
SPARK = SpeedTarget("drain: rate / rate of Spark", 4, 7, digits=1)
FRAMEWORK = SpeedTarget(
    "drain: rate / rate of the best other framework with pydantic", 15, 25, digits=1
)
FRAMEWORK_TUNED = SpeedTarget(
    "drain: rate / rate of the best other framework, tuned", 15, 25, digits=1
)
"""Target for the comparison with tuned frameworks, which use msgspec and their largest batches."""
LATENCY_P50 = SpeedTarget("event latency, p50", 40, 15, "ms", lower_is_better=True, digits=0)
LATENCY_P99 = SpeedTarget("event latency, p99", 100, 40, "ms", lower_is_better=True, digits=0)
TWO_WORKERS = SpeedTarget("rate of two workers on four partitions / rate of one worker", 1.3, 1.6)
MEMORY_FEW = SpeedTarget(
    "resident memory, few sensors", 400, 250, "MB", lower_is_better=True, digits=0
)
MEMORY_MANY = SpeedTarget(
    "resident memory, many sensors", 600, 400, "MB", lower_is_better=True, digits=0
)
MEMORY_GROWTH = SpeedTarget(
    "growth of resident memory after warm-up", 20, 10, "MB", lower_is_better=True, digits=0
)
"""The memory should not grow. But the allocator alone causes differences of up to 20 MB."""
START_WARM = SpeedTarget(
    "time from start to first scored row, warm cache", 4, 2, "s", lower_is_better=True, digits=1
)
START_COLD = SpeedTarget(
    "time from start to first scored row, first start ever",
    25,
    15,
    "s",
    lower_is_better=True,
    digits=1,
)
RESTORE = SpeedTarget(
    "time to restore the memory of many sensors after a kill",
    5,
    3,
    "s",
    lower_is_better=True,
    digits=1,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A speed target, and the measurement to compare with this target."""

    target: SpeedTarget
    measurement: MedianAndRange
    note: str = ""


def table(verdicts: Iterable[Verdict]) -> Table:
    """Return a table of measurements and their targets."""
    rows = []
    for verdict in verdicts:
        target, measurement = verdict.target, verdict.measurement
        limit_prefix = "at most " if target.lower_is_better else ""
        limits = [
            f"{limit_prefix}{figure:g} {target.unit}"
            for figure in (target.required, target.desired)
        ]
        figures = f"{measurement.text(target.digits)} {target.unit}"
        rows.append(
            (target.title, figures, *limits, target.level_reached(measurement.median), verdict.note)
        )
    return Table(
        "Measurements and goals",
        ("measurement", "median (lowest..highest)", "must", "aim", "level reached", "note"),
        rows,
    )
