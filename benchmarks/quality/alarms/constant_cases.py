"""Measure alarms on constant signals, on switches, and on signals of different scales."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.scored_rows import ANY, ScoredRows, score
from benchmarks.quality.alarms.sensor_rows import SensorRows, rows_of_grid
from benchmarks.report.figures_table import Table
from benchmarks.report.true_ranges import true_ranges
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detections import SEVERITIES
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.trainer.unregistered_model import fit_with_memory

TRAIN_ROWS, JUDGED_ROWS = 3_000, 3_000
FIRST_FAULT, SECOND_FAULT = 100, 1_500
SCALE_POWERS = (-9, 9)
"""Powers of ten by which all signals are multiplied; the alarms should not change."""
_SHORT_ROWS = 40
_CONSTANT_VALUE, _CHANGED_VALUE, _FAR_VALUE = 40.0, 45.0, 80.0
NONE = "-"


@dataclass(frozen=True, slots=True)
class ConstantCase:
    """The rows of one sensor, and the judged rows at which the faults begin and end."""

    name: str
    values: NDArray[np.float64]
    """Shape (TRAIN_ROWS + JUDGED_ROWS, signals)."""
    fault: tuple[int, int] | None = None
    """First row and end (exclusive) of the first fault; None: every alarm is false."""
    second_fault: int | None = None
    """Row at which a second fault begins."""
    starts_cold: bool = False
    """True: the judged rows begin with an empty memory."""


def table(*, seeds: int) -> Table:
    """Measure all cases, and return the table of their alarms."""
    names = [case.name for case in cases(0)]
    outcomes = [measure(cases(seed)) for seed in range(seeds)]
    return Table(
        "Constants, switches and scales: alarms of one sensor",
        (
            "",
            "alarm at the fault, after rows",
            "highest severity",
            "episodes",
            "rows alarmed",
            "alarmed after the end, rows",
            "second fault: score",
        ),
        [
            (name, *(_joined_figures(cells) for cells in zip(*case_outcomes, strict=True)))
            for name, case_outcomes in zip(names, zip(*outcomes, strict=True), strict=True)
        ],
        f"{TRAIN_ROWS:,} training rows and {JUDGED_ROWS:,} judged rows, a row a minute. Constants: "
        "one signal or all signals never changed in training. The rows after the end of a fault "
        "should be few. Second fault: another value of the same signal, which is news if its "
        "anomaly score is at least 1. Cases without a fault should have few alarms.",
    )


def cases(seed: int) -> list[ConstantCase]:
    """Return all cases."""
    rng = np.random.default_rng([seed, TRAIN_ROWS])
    return [
        *(case for is_alone in (False, True) for case in _constants(rng, is_alone=is_alone)),
        ConstantCase("0/1 signal that switches regularly", _regular_switch(rng)),
        ConstantCase("rain and error counts, mostly zero", _mostly_zero(rng)),
        ConstantCase("set-point that rests on one of three values", _resting_set_point(rng)),
        ConstantCase(
            "shift that stays for ever",
            _shifted_level(rng),
            fault=(FIRST_FAULT, JUDGED_ROWS),
        ),
    ]


def measure(all_cases: Sequence[ConstantCase]) -> list[tuple[str, ...]]:
    """Fit and score each case, and return its cells. Equal training rows are fitted once."""
    fitted: dict[bytes, tuple[Detector, Memory]] = {}
    cells = []
    for case in all_cases:
        key = case.values[:TRAIN_ROWS].tobytes()
        if key not in fitted:
            fitted[key] = _fit(case)
        cells.append(alarm_cells(_scored_rows(case, *fitted[key]), case.fault, case.second_fault))
    return cells


def scale_table() -> Table:
    """Return a table of the numbers of rows whose alarm changes if all values have another unit."""
    rng = np.random.default_rng(0)
    values = 3.0 + 0.2 * rng.standard_normal((TRAIN_ROWS + JUDGED_ROWS, 2))
    values[TRAIN_ROWS + FIRST_FAULT : TRAIN_ROWS + FIRST_FAULT + _SHORT_ROWS, 0] += 2.0
    case = ConstantCase("x 1", values)
    reference = _scored_rows(case, *_fit(case))
    rows = []
    for power in SCALE_POWERS:
        scaled_case = ConstantCase(f"x 1e{power}", values * 10.0**power)
        scored = _scored_rows(scaled_case, *_fit(scaled_case))
        difference = scored.severity != reference.severity
        rows.append((scaled_case.name, f"{int(difference.sum())} of {len(difference)}"))
    return Table(
        "Scales: rows whose severity changes if all values are multiplied",
        ("", "rows"),
        rows,
        "Wanted: 0.",
    )


def _constants(rng: np.random.Generator, *, is_alone: bool) -> list[ConstantCase]:
    """Return the cases of a constant signal: either both signals are constant, or only one."""
    name = "all constant" if is_alone else "one constant"
    rows = TRAIN_ROWS + JUDGED_ROWS
    other = np.full(rows, 21.5) if is_alone else _temperature(rng)
    make = partial(_constant_values, other)
    end = FIRST_FAULT + _SHORT_ROWS
    return [
        ConstantCase(f"{name}, cold start", make({}), starts_cold=True),
        ConstantCase(
            f"{name}, spike of one row",
            make({(FIRST_FAULT, FIRST_FAULT + 1): _FAR_VALUE}),
            fault=(FIRST_FAULT, FIRST_FAULT + 1),
        ),
        ConstantCase(
            f"{name}, step that stays",
            make(
                {
                    (FIRST_FAULT, JUDGED_ROWS): _CHANGED_VALUE,
                    (SECOND_FAULT, JUDGED_ROWS): _FAR_VALUE,
                }
            ),
            fault=(FIRST_FAULT, JUDGED_ROWS),
            second_fault=SECOND_FAULT,
        ),
        ConstantCase(
            f"{name}, return after {_SHORT_ROWS} rows",
            make(
                {(FIRST_FAULT, end): _CHANGED_VALUE, (SECOND_FAULT, SECOND_FAULT + 1): _FAR_VALUE}
            ),
            fault=(FIRST_FAULT, end),
            second_fault=SECOND_FAULT,
        ),
    ]


def _constant_values(
    other: NDArray[np.float64], changes: dict[tuple[int, int], float]
) -> NDArray[np.float64]:
    """Return `other` and a signal that is constant except for `changes` by judged row range."""
    constant = np.full(len(other), _CONSTANT_VALUE)
    for (first, end), value in changes.items():
        constant[TRAIN_ROWS + first : TRAIN_ROWS + end] = value
    return np.column_stack([other, constant])


def _regular_switch(rng: np.random.Generator) -> NDArray[np.float64]:
    row = np.arange(TRAIN_ROWS + JUDGED_ROWS)
    is_on = (row % 60 < 20).astype(np.float64)
    return np.column_stack([_temperature(rng) + 3 * is_on, is_on])


def _mostly_zero(rng: np.random.Generator) -> NDArray[np.float64]:
    rows = TRAIN_ROWS + JUDGED_ROWS
    rain = np.where(rng.random(rows) < 0.07, rng.exponential(2.0, rows), 0.0)
    errors = np.where(rng.random(rows) < 0.005, rng.integers(1, 4, rows), 0)
    return np.column_stack([np.round(rain, 1), errors])


def _resting_set_point(rng: np.random.Generator) -> NDArray[np.float64]:
    rows = TRAIN_ROWS + JUDGED_ROWS
    set_point = np.repeat(rng.choice([18.0, 20.0, 22.0], size=rows // 500), 500)
    return np.column_stack([set_point, set_point + 0.3 * rng.standard_normal(rows)])


def _shifted_level(rng: np.random.Generator) -> NDArray[np.float64]:
    values = _temperature(rng)[:, np.newaxis]
    values[TRAIN_ROWS + FIRST_FAULT :] += 3.7
    return values


def _temperature(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.round(20 + 0.3 * rng.standard_normal(TRAIN_ROWS + JUDGED_ROWS), 2)


def _fit(case: ConstantCase) -> tuple[Detector, Memory]:
    rows = _rows_of(case.values)
    return fit_with_memory(rows.training, rows.schema, TrainerSettings())


def _scored_rows(case: ConstantCase, detector: Detector, memory: Memory) -> ScoredRows:
    start_memory = detector.empty_memory() if case.starts_cold else deepcopy(memory)
    return score(_rows_of(case.values).judged, detector, start_memory)


def _rows_of(values: NDArray[np.float64]) -> SensorRows:
    return rows_of_grid(
        "constants",
        values[:, np.newaxis, :],
        train_steps=TRAIN_ROWS,
        interval_seconds=60,
        decimals=None,
    )


def alarm_cells(
    scored: ScoredRows, fault: tuple[int, int] | None, second_fault: int | None
) -> tuple[str, ...]:
    """Return the cells of one case: the alarms of the rows (m,) of one sensor."""
    alarmed = scored.alarmed(ANY)
    delay = rows_after = NONE
    if fault is not None:
        first, end = fault
        delays = np.flatnonzero(alarmed[first:])
        delay = str(delays[0]) if len(delays) else "no alarm"
        quiet_until = len(alarmed) if second_fault is None else second_fault
        rows_after = str(int(alarmed[end:quiet_until].sum())) if end < len(alarmed) else NONE
    return (
        delay,
        SEVERITIES[int(scored.severity.max())].value,
        str(len(true_ranges(alarmed))),
        str(int(alarmed.sum())),
        rows_after,
        NONE if second_fault is None else f"{scored.anomaly_score[second_fault]:.2f}",
    )


def _joined_figures(cells: tuple[str, ...]) -> str:
    """Return the figures of all seeds; if they are equal, return one figure."""
    return " / ".join(dict.fromkeys(cells)) if len(set(cells)) == 1 else " / ".join(cells)
