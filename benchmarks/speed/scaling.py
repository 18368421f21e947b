"""How cost grows: one thing at a time, through the pure core alone, in one process."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.log_plots import Curve, curves
from benchmarks.speed.run_statistics import spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.synthetic_cases import USUAL, Case, payloads, warmed
from benchmarks.speed.testbed import Bench
from sensorwatch.common.scoring.memory_bytes import memory_bytes, memory_from_bytes
from sensorwatch.common.scoring.processing import process

ROWS = 20_000
BYTES_OF_A_ROW = 90
REMEMBERED = (1_000, 10_000, 100_000)
"""Sensors of a memory that is written down."""
AXES: dict[str, Sequence[Case]] = {
    "rows at once": [replace(USUAL, rows=n) for n in (10, 100, 1_000, 10_000, 100_000)],
    "sensors": [replace(USUAL, sensors=n) for n in (1, 10, 100, 1_000, 10_000, 100_000)],
    "signals": [replace(USUAL, signals=n) for n in (3, 8, 16, 32, 64)],
    "trees": [replace(USUAL, trees=n) for n in (25, 50, 100, 200, 400)],
    "message bytes": [replace(USUAL, padding=n) for n in (0, 200, 1_000, 4_000, 16_000)],
}
_VALUES: dict[str, Callable[[Case], int]] = {
    "rows at once": lambda case: case.rows,
    "sensors": lambda case: case.sensors,
    "signals": lambda case: case.signals,
    "trees": lambda case: case.trees,
    "message bytes": lambda case: BYTES_OF_A_ROW + case.padding,
}


def growth(bench: Bench) -> Found:
    """Measure microseconds a row along every axis, the default detector warm."""
    drawn, rows = [], []
    for axis, cases in AXES.items():
        found = []
        for case in cases:
            costs = spread(_microseconds(case, bench.asked.rounds))
            value = _VALUES[axis](case)
            found.append((float(value), costs.median))
            rows.append((axis, f"{value:,}", costs.text(2)))
            print(f"{axis} {value:,}: {costs.text(2)} us a row", flush=True)
        drawn.append(Curve(f"{axis} (slope {_slope(found):.2f})", found))
    title = "How cost grows: microseconds a row, default detector, one process, no broker"
    note = (
        f"Where nothing else is said: {USUAL.rows:,} rows at once, {USUAL.sensors:,} sensors, "
        f"{USUAL.signals} signals, {USUAL.trees} trees. Slope: of the logarithms, between the "
        "last two points; 0: a row costs the same, 1: in proportion."
    )
    table = Table(title, ("", "value", "median (lowest..highest)"), rows, note)
    plot = curves(title, drawn, axes=("each axis's own value", "us a row"))
    return Found(
        Section("How cost grows", [table, _snapshots(bench.asked.rounds)], {"growth": plot})
    )


def _microseconds(case: Case, times: int) -> list[float]:
    """Return a row's cost, several times, the memory warm: the sensors were all seen before."""
    detector, memory, warm = warmed(case)
    found, rows = [], max(ROWS, case.rows)
    for time in range(times):
        measured = payloads(case, rows, warm + time * rows)
        began = perf_counter()
        for first in range(0, rows, case.rows):
            process(measured[first : first + case.rows], detector, memory)
        found.append(1e6 * (perf_counter() - began) / rows)
    return found


def _snapshots(times: int) -> Table:
    """Measure how large a memory is when it is written down, and how long both ways take."""
    rows = []
    for sensors in REMEMBERED:
        detector, memory, _ = warmed(replace(USUAL, sensors=sensors))
        content = memory_bytes(memory)
        written, read = [], []
        for _ in range(times):
            began = perf_counter()
            memory_bytes(memory)
            between = perf_counter()
            memory_from_bytes(content, detector)
            written.append(1e3 * (between - began))
            read.append(1e3 * (perf_counter() - between))
        each = f"{len(content) / sensors:.0f}"
        rows.append((f"{sensors:,}", each, spread(written).text(1), spread(read).text(1)))
    return Table(
        f"A memory written down and read back, {USUAL.signals} signals",
        ("sensors", "bytes a sensor", "written, ms", "read, ms"),
        rows,
        "Before compression, and without the broker.",
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    (x1, y1), (x2, y2) = points[-2:]
    return float(np.log(y2 / y1) / np.log(x2 / x1))
