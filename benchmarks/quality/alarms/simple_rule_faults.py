"""Simulated faults that favour simple rules: the plain recipe and z-scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.quality.alarms.figures import percent
from benchmarks.quality.alarms.ranking import (
    FALSE_ROWS,
    RULES,
    FoundShares,
    found_shares,
    normal_rows,
    shares_flagged,
)
from benchmarks.quality.alarms.scored_rows import ANY, fit_and_score
from benchmarks.quality.alarms.sensor_rows import SensorRows, rows_of_grid
from benchmarks.quality.compared_detectors import DEFAULT_NAME
from benchmarks.report.figures_table import Table

TRAIN_ROWS, JUDGED_ROWS = 3_000, 6_000
MARGIN_ROWS = 200
"""Rows after a fault that are neither faulty nor normal."""
INTERVAL_SECONDS = 600
OWN_ALARMS = f"{DEFAULT_NAME}, own alarms"
COLUMNS = (DEFAULT_NAME, *RULES, OWN_ALARMS)
_AR_COEFFICIENT = 0.8
_FIRST_SHORT_FAULT, _SHORT_FAULT_PERIOD = 500, 500
_LEVEL_SIGNALS, _ODD_SIGNALS, _JOINT_SIGNALS = 8, 30, 4


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows of one sensor with faults of one kind, and the label of each judged row."""

    rows: SensorRows
    is_faulty: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CaseShares:
    """The faults of one kind that each score finds."""

    shares: dict[str, FoundShares]
    """The shares that are found, for each of COLUMNS."""
    false_rows: float
    """Share of the normal rows for which the default detector raises an alarm."""


CaseFunction = Callable[[np.random.Generator], LabelledRows]


def _far_level(rng: np.random.Generator, *, signals: int) -> LabelledRows:
    """The first `signals` of eight signals move by 100 spreads and stay there."""
    values, is_faulty = _noise(rng, _LEVEL_SIGNALS), _last_rows(2_000)
    values[TRAIN_ROWS:, :signals][is_faulty] += 100.0
    return _labelled_rows(values, is_faulty)


def _ramp(rng: np.random.Generator, *, spreads: float) -> LabelledRows:
    """One of eight signals rises slowly for 2,000 rows."""
    values, is_faulty = _noise(rng, _LEVEL_SIGNALS), _last_rows(2_000)
    values[TRAIN_ROWS:, 0][is_faulty] += np.linspace(0.0, spreads, 2_000)
    return _labelled_rows(values, is_faulty)


def _odd_signal(rng: np.random.Generator) -> LabelledRows:
    """One of 30 signals is 4 spreads too high or too low for 20 rows."""
    values, is_faulty = _noise(rng, _ODD_SIGNALS), _short_faults(20)
    for first in _short_fault_starts():
        rows = slice(TRAIN_ROWS + first, TRAIN_ROWS + first + 20)
        values[rows, rng.integers(_ODD_SIGNALS)] += 4.0 * rng.choice([-1.0, 1.0])
    return _labelled_rows(values, is_faulty)


def _joint_oddness(rng: np.random.Generator) -> LabelledRows:
    """Two of four signals move together; during a fault, they move in opposite directions."""
    values, is_faulty = _noise(rng, _JOINT_SIGNALS), _short_faults(20)
    values[:, 1] = 0.98 * values[:, 0] + 0.2 * values[:, 1]
    for first in _short_fault_starts():
        rows = slice(TRAIN_ROWS + first, TRAIN_ROWS + first + 20)
        values[rows, 0] = 1.5 + 0.3 * values[rows, 0]
        values[rows, 1] = -values[rows, 0]
    return _labelled_rows(values, is_faulty)


def _pressure_spike(rng: np.random.Generator, *, as_context: bool) -> LabelledRows:
    """The pressure of a pump is 1 bar too high for one row; its speed changes in steps."""
    rows, is_faulty = TRAIN_ROWS + JUDGED_ROWS, _short_faults(1)
    set_points = rng.choice([1_000.0, 1_450.0, 1_800.0], size=rows // 60 + 1)
    rpm = np.repeat(set_points, 60)[:rows] + rng.normal(0, 3, rows)
    pressure = 3.2 + 0.0012 * (rpm - 1_450) + rng.normal(0, 0.03, rows)
    flow = 0.08 * rpm + rng.normal(0, 0.6, rows)
    pressure[TRAIN_ROWS:][is_faulty] += 1.0
    signals = np.column_stack([pressure, flow])
    if as_context:
        return _labelled_rows(signals, is_faulty, context=rpm[:, np.newaxis])
    return _labelled_rows(np.column_stack([signals, rpm]), is_faulty)


def _leak(rng: np.random.Generator) -> LabelledRows:
    """A vacuum of 3e-9 mbar becomes 3e-7 mbar; the other signal is a temperature."""
    values, is_faulty = _noise(rng, 2), _last_rows(100)
    vacuum, temperature = 3e-9 * (1 + 0.04 * values[:, 0]), 20 + 0.2 * values[:, 1]
    vacuum[TRAIN_ROWS:][is_faulty] *= 100.0
    return _labelled_rows(np.column_stack([vacuum, temperature]), is_faulty)


def _valve_opens(rng: np.random.Generator) -> LabelledRows:
    """A valve that was always closed opens for 40 rows; the other signal is a temperature."""
    is_faulty = np.zeros(JUDGED_ROWS, dtype=np.bool_)
    is_faulty[3_000:3_040] = True
    valve = np.concatenate([np.zeros(TRAIN_ROWS), is_faulty.astype(np.float64)])
    return _labelled_rows(np.column_stack([20 + 0.4 * _noise(rng, 1)[:, 0], valve]), is_faulty)


CASES: dict[str, CaseFunction] = {
    "sustained far level, 1 of 8 signals": partial(_far_level, signals=1),
    "sustained far level, 4 of 8 signals": partial(_far_level, signals=4),
    "ramp of 12 spreads in 2,000 rows, 1 of 8": partial(_ramp, spreads=12.0),
    "ramp of 4 spreads in 2,000 rows, 1 of 8": partial(_ramp, spreads=4.0),
    "one odd signal among 30, 4 spreads, 20 rows": _odd_signal,
    "joint oddness, 20 rows": _joint_oddness,
    "spike of 1 bar beside a stepping rpm": partial(_pressure_spike, as_context=False),
    "the same, rpm as context": partial(_pressure_spike, as_context=True),
    "leak from 3e-9 to 3e-7": _leak,
    "a valve opens once, 40 rows": _valve_opens,
}


def table(*, seeds: int) -> Table:
    """Measure all scores on all kinds of faults, and return the table of their results."""
    rows = []
    for number, (name, rows_of_case) in enumerate(CASES.items()):
        results = [
            measure(rows_of_case(np.random.default_rng([seed, number]))) for seed in range(seeds)
        ]
        false_rows = percent([result.false_rows for result in results], decimals=1)
        cells = [_cell_text([result.shares[column] for result in results]) for column in COLUMNS]
        rows.append((name, *cells, false_rows))
    return Table(
        "Faults that favour simple rules: faulty rows / faults found "
        f"at {100 * FALSE_ROWS:g} % of normal rows",
        ("", *COLUMNS, "normal rows"),
        rows,
        f"{seeds} seeds each: mean (lowest to highest). One sensor, a row in 10 minutes, "
        f"{TRAIN_ROWS:,} training rows, {JUDGED_ROWS:,} judged. Every score has its own limit, "
        f"which {100 * FALSE_ROWS:g} % of its normal rows exceed; the {MARGIN_ROWS} rows after a "
        "fault count neither as faulty nor as normal. Own alarms: the alarms of the default "
        "detector at any severity, which are at the share of normal rows in the last column. Only "
        "the default detector reads the context.",
    )


def measure(labelled_rows: LabelledRows) -> CaseShares:
    """Score the faults of one kind with the default detector and with the simple rules."""
    rows, is_faulty = labelled_rows.rows, labelled_rows.is_faulty
    _, scored = fit_and_score(rows)
    is_alarmed = scored.alarmed(ANY)
    shares = {DEFAULT_NAME: found_shares(scored.raw_score, is_faulty, margin=MARGIN_ROWS)}
    for name, rule in RULES.items():
        shares[name] = found_shares(rule(rows), is_faulty, margin=MARGIN_ROWS)
    shares[OWN_ALARMS] = shares_flagged(is_alarmed, is_faulty)
    is_normal = normal_rows(is_faulty, margin=MARGIN_ROWS)
    return CaseShares(shares, float(is_alarmed[is_normal].mean()))


def _cell_text(shares: Sequence[FoundShares]) -> str:
    fault_share = percent([float(np.mean([share.faults for share in shares]))])
    return f"{percent([share.rows for share in shares])} / {fault_share}"


def _labelled_rows(
    values: NDArray[np.float64],
    is_faulty: NDArray[np.bool_],
    *,
    context: NDArray[np.float64] | None = None,
) -> LabelledRows:
    rows = rows_of_grid(
        "faults",
        values[:, np.newaxis, :],
        train_steps=TRAIN_ROWS,
        interval_seconds=INTERVAL_SECONDS,
        context=None if context is None else context[:, np.newaxis, :],
        decimals=None,
    )
    return LabelledRows(rows, is_faulty)


def _noise(rng: np.random.Generator, signals: int) -> NDArray[np.float64]:
    """Return AR(1) noise (rows, signals) of variance 1."""
    draws = rng.standard_normal((TRAIN_ROWS + JUDGED_ROWS, signals))
    innovations = np.sqrt(1 - _AR_COEFFICIENT**2) * draws
    noise: NDArray[np.float64] = lfilter([1.0], [1.0, -_AR_COEFFICIENT], innovations, axis=0)
    return noise


def _last_rows(rows: int) -> NDArray[np.bool_]:
    return np.arange(JUDGED_ROWS) >= JUDGED_ROWS - rows


def _short_faults(length: int) -> NDArray[np.bool_]:
    is_faulty = np.zeros(JUDGED_ROWS, dtype=np.bool_)
    for first in _short_fault_starts():
        is_faulty[first : first + length] = True
    return is_faulty


def _short_fault_starts() -> range:
    return range(_FIRST_SHORT_FAULT, JUDGED_ROWS, _SHORT_FAULT_PERIOD)
