"""What speed is held to, as issue 5 states it, and whether what was measured reaches it."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.report.figures_table import Table
from benchmarks.speed.run_statistics import Spread


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure with the least that is wanted of it, and what is hoped for."""

    what: str
    must: float
    aim: float
    unit: str = "x"
    at_most: bool = False
    digits: int = 2

    def met(self, figure: float) -> str:
        """Say in a word what the figure reaches."""
        sign = -1 if self.at_most else 1
        if sign * figure >= sign * self.aim:
            return "aim"
        return "must" if sign * figure >= sign * self.must else "no"


FOREST_BULK = Goal("forest kernel against scikit-learn, bulk", 5.5, 8)
FOREST_ONE = Goal("forest kernel against scikit-learn, one row", 500, 500, digits=0)
PARSE_PYDANTIC = Goal("parse, validate, columns against a pydantic model per row", 20, 40, digits=1)
PARSE_MSGSPEC = Goal("parse, validate, columns against msgspec and numpy", 1.5, 3, digits=1)
PLAIN_RATE = Goal("drain, plain features: rows/s of the empty loop's", 0.4, 0.55)
PLAIN_CPU = Goal("drain, plain features: CPU per row of the empty loop's", 2.5, 2, at_most=True)
DEFAULT_RATE = Goal("drain, default detector, few sensors", 0.28, 0.4)
MANY_RATE = Goal("drain, default detector, many sensors", 0.2, 0.3)
EXPERT = Goal("the same job against the expert's loop", 3.5, 5, digits=1)
SPARK = Goal("the same job against Spark", 4, 7, digits=1)
FRAMEWORK = Goal("the same job against the best other framework, pydantic", 15, 25, digits=1)
FRAMEWORK_TUNED = Goal("the same job against the best other framework, tuned", 15, 25, digits=1)
"""With msgspec and the largest batches that it takes, which its documents do not speak of."""
LATENCY_P50 = Goal("event latency, p50", 40, 15, "ms", at_most=True, digits=0)
LATENCY_P99 = Goal("event latency, p99", 100, 40, "ms", at_most=True, digits=0)
TWO_WORKERS = Goal("two workers on four partitions against one", 1.3, 1.6)
MEMORY_FEW = Goal("resident memory, few sensors", 400, 250, "MB", at_most=True, digits=0)
MEMORY_MANY = Goal("resident memory, many sensors", 600, 400, "MB", at_most=True, digits=0)
MEMORY_GROWTH = Goal(
    "growth of resident memory after warm-up", 20, 10, "MB", at_most=True, digits=0
)
"""None is wanted: 20 MB is what the allocator's own ups and downs come to."""
START_WARM = Goal("start to first scored row, warm cache", 4, 2, "s", at_most=True, digits=1)
START_COLD = Goal("start to first scored row, first ever", 25, 15, "s", at_most=True, digits=1)
RESTORE = Goal("memory of many sensors restored after a kill", 5, 3, "s", at_most=True, digits=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what was measured of it."""

    goal: Goal
    found: Spread
    note: str = ""


def table(verdicts: Iterable[Verdict]) -> Table:
    """Write measured figures beside what is wanted."""
    rows = []
    for verdict in verdicts:
        goal, found = verdict.goal, verdict.found
        sign = "at most " if goal.at_most else ""
        wanted = [f"{sign}{figure:g} {goal.unit}" for figure in (goal.must, goal.aim)]
        figures = f"{found.text(goal.digits)} {goal.unit}"
        rows.append((goal.what, figures, *wanted, goal.met(found.median), verdict.note))
    return Table(
        "Measured against the goals",
        ("", "measured: median (lowest..highest)", "must", "aim", "met", ""),
        rows,
    )
