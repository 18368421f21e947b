"""Measure how the time per row depends on each size, such as the number of sensors."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.log_plots import Curve, log_log_plot
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.synthetic_cases import DEFAULT_CASE, Case, payloads, warm_detector
from benchmarks.speed.testbed import Testbed
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import process

ROWS = 20_000
ROW_BYTES = 90
SNAPSHOT_SENSORS = (1_000, 10_000, 100_000)
"""Numbers of sensors of the memories that are serialised."""
CASES_BY_SIZE: dict[str, Sequence[Case]] = {
    "rows at once": [replace(DEFAULT_CASE, rows=n) for n in (10, 100, 1_000, 10_000, 100_000)],
    "sensors": [replace(DEFAULT_CASE, sensors=n) for n in (1, 10, 100, 1_000, 10_000, 100_000)],
    "signals": [replace(DEFAULT_CASE, signals=n) for n in (3, 8, 16, 32, 64)],
    "trees": [replace(DEFAULT_CASE, trees=n) for n in (25, 50, 100, 200, 400)],
    "message bytes": [replace(DEFAULT_CASE, padding=n) for n in (0, 200, 1_000, 4_000, 16_000)],
}
_SIZE_GETTERS: dict[str, Callable[[Case], int]] = {
    "rows at once": lambda case: case.rows,
    "sensors": lambda case: case.sensors,
    "signals": lambda case: case.signals,
    "trees": lambda case: case.trees,
    "message bytes": lambda case: ROW_BYTES + case.padding,
}


def measure_growth(testbed: Testbed) -> SectionResult:
    """Measure the time per row of the default detector, with one size varied at a time."""
    curves, rows = [], []
    for size_name, cases in CASES_BY_SIZE.items():
        costs_by_value = []
        for case in cases:
            costs = median_and_range(_microseconds(case, testbed.options.rounds))
            value = _SIZE_GETTERS[size_name](case)
            costs_by_value.append((float(value), costs.median))
            rows.append((size_name, f"{value:,}", costs.text(2)))
            print(f"{size_name} {value:,}: {costs.text(2)} us per row", flush=True)
        curves.append(Curve(f"{size_name} (slope {_slope(costs_by_value):.2f})", costs_by_value))
    title = "How the time per row grows: default detector, one process, no broker"
    note = (
        f"One size varies at a time. The other sizes are {DEFAULT_CASE.rows:,} rows at once, "
        f"{DEFAULT_CASE.sensors:,} sensors, {DEFAULT_CASE.signals} signals and "
        f"{DEFAULT_CASE.trees} trees. The slope in the plot is the slope of log(time per row) over "
        "log(size) between the last two points. With slope 0 the time per row is constant. With "
        "slope 1 it grows in proportion to the size."
    )
    table = Table(title, ("size", "value", "us per row: median (lowest..highest)"), rows, note)
    plot = log_log_plot(title, curves, axis_names=("value of the size", "us per row"))
    return SectionResult(
        Section(
            "How the time per row grows",
            [table, _snapshots(testbed.options.rounds)],
            {"growth": plot},
        )
    )


def _microseconds(case: Case, repeats: int) -> list[float]:
    """Return `repeats` measurements of the time per row, after a warm-up with all sensors."""
    detector, memory, warm_up_rows = warm_detector(case)
    costs, rows = [], max(ROWS, case.rows)
    for repeat in range(repeats):
        timed_payloads = payloads(case, rows, warm_up_rows + repeat * rows)
        start_time = perf_counter()
        for first in range(0, rows, case.rows):
            process(timed_payloads[first : first + case.rows], detector, memory)
        costs.append(1e6 * (perf_counter() - start_time) / rows)
    return costs


def _snapshots(repeats: int) -> Table:
    """Measure the size of serialised detector memories, and the times to write and read them."""
    rows = []
    for sensors in SNAPSHOT_SENSORS:
        detector, memory, _ = warm_detector(replace(DEFAULT_CASE, sensors=sensors))
        serialised_memory = memory_to_bytes(memory)
        write_times, read_times = [], []
        for _ in range(repeats):
            start_time = perf_counter()
            memory_to_bytes(memory)
            write_end_time = perf_counter()
            memory_from_bytes(serialised_memory, detector)
            write_times.append(1e3 * (write_end_time - start_time))
            read_times.append(1e3 * (perf_counter() - write_end_time))
        sensor_bytes = f"{len(serialised_memory) / sensors:.0f}"
        rows.append(
            (
                f"{sensors:,}",
                sensor_bytes,
                median_and_range(write_times).text(1),
                median_and_range(read_times).text(1),
            )
        )
    return Table(
        f"Time to write and to read a memory, {DEFAULT_CASE.signals} signals",
        ("sensors", "bytes per sensor", "write, ms", "read, ms"),
        rows,
        "The size is measured before compression. The times do not include the broker.",
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    (x1, y1), (x2, y2) = points[-2:]
    return float(np.log(y2 / y1) / np.log(x2 / x1))
