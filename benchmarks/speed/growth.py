"""How cost grows: one thing at a time, through the pure core alone, in one process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from time import perf_counter

import numpy as np

from benchmarks.report.curves import Curve, curves
from benchmarks.report.document import Section
from benchmarks.report.table import Table
from benchmarks.speed.found import Found
from benchmarks.speed.ground import Bench
from benchmarks.speed.runs import spread
from common.detection.detector import Detector
from common.detection.processing import process
from common.rows.schema import Schema, schema_of
from common.rows.strict_parsing import decode
from common.runtime.keys import TrainerSettings
from trainer.backtest import warm_up

TRAINING_ROWS = 4_000
ROWS = 20_000
WARM_ROWS = 8
"""Of each sensor, before anything is measured."""
BYTES_OF_A_ROW = 90


@dataclass(frozen=True, slots=True)
class Case:
    """What is scored: everything that cost may grow with."""

    rows: int = 10_000
    """At once."""
    sensors: int = 1_000
    signals: int = 3
    trees: int = 100
    padding: int = 0
    """Bytes of each message that no field of the schema takes."""


USUAL = Case()
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
    return Found(Section("How cost grows", [table], {"growth": plot}))


def _microseconds(case: Case, times: int) -> list[float]:
    """Return a row's cost, several times, the memory warm: the sensors were all seen before."""
    detector = _detector(case.signals, case.trees)
    memory = detector.cold()
    warm = max(WARM_ROWS * case.sensors, case.rows)
    for first in range(0, warm, USUAL.rows):
        size = min(USUAL.rows, warm - first)
        process(_payloads(replace(case, padding=0), size, first), detector, memory)
    found, rows = [], max(ROWS, case.rows)
    for time in range(times):
        measured = _payloads(case, rows, warm + time * rows)
        began = perf_counter()
        for first in range(0, rows, case.rows):
            process(measured[first : first + case.rows], detector, memory)
        found.append(1e6 * (perf_counter() - began) / rows)
    return found


def _payloads(case: Case, rows: int, first: int) -> list[bytes]:
    rng = np.random.default_rng([case.signals, first])
    values = rng.standard_normal((rows, case.signals)).round(4).tolist()
    names = [f'"x{number + 1}":' for number in range(case.signals)]
    more = f',"more":"{"x" * case.padding}"' if case.padding else ""
    found = []
    for number, row in enumerate(values, start=first):
        cells = ",".join(f"{name}{value}" for name, value in zip(names, row, strict=True))
        sensor, second = number % case.sensors, number // case.sensors
        found.append(
            f'{{"timestamp":{second},"sensor_id":"sensor-{sensor:06d}",{cells}{more}}}'.encode()
        )
    return found


@cache
def _schema(signals: int) -> Schema:
    return schema_of(
        {
            "name": "growth",
            "time": {"field": "timestamp", "format": "epoch_s"},
            "key": {"field": "sensor_id", "optional": True},
            "signals": [{"name": f"x{number + 1}"} for number in range(signals)],
        }
    )


@cache
def _detector(signals: int, trees: int) -> Detector:
    schema = _schema(signals)
    training = _payloads(Case(sensors=10, signals=signals), TRAINING_ROWS, 0)
    how = TrainerSettings(trees=trees, min_rows=3)
    detector, _, _ = warm_up(map(decode, training), schema, how, rows=TRAINING_ROWS, uri="growth")
    return detector


def _slope(points: Sequence[tuple[float, float]]) -> float:
    (x1, y1), (x2, y2) = points[-2:]
    return float(np.log(y2 / y1) / np.log(x2 / x1))
