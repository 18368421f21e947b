"""The deviation of each signal's smoothed level from its reference level.

The reference is the level of training, or for a new sensor the level that the memory learned. It
does not follow the signal. Only a signal that stays away for very long gets a new reference.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.alarm_rates import LEVEL_SPAN_ROWS
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.season import bin_at
from sensorwatch.common.model.tails import look_up_rarity
from sensorwatch.common.scoring.memory_layout import (
    NO_REFERENCE,
    FloatColumn,
    IntColumn,
    Layout,
)
from sensorwatch.common.scoring.sensor_level import distance_in_scales

LEVEL_SMOOTHING = 2.0 / (LEVEL_SPAN_ROWS + 1.0)
"""Weight of the newest row in the smoothed deviation."""
MAX_STEP_SCALES = 10.0
"""One row changes the smoothed deviation as if it were at most this number of scales away, so that
a spike of one row is no change of the level."""
BACK_SHARE = 0.1
"""A signal is back if its deviation is less than this share of its smoothed deviation."""
BACK_FROM_SCALES = 2.0
"""A signal whose smoothed deviation is at most this number of scales was not away."""
BACK_FACTOR = 0.5
"""Each row of a signal that is back multiplies the smoothed deviation by this factor, so that the
alarm of a long change ends soon after it."""
MAX_DEVIATION_SCALES = 50.0
"""A deviation is clipped to plus or minus this number of scales."""
NEW_REFERENCE_ERROR = 1.0
"""Variance, in squared scales, of a reference that was learned from a few rows in service."""
SMALL_DEVIATION = 1.0
"""A relative deviation below this has the score 0."""
FAR_SCALES = 8.0
"""A signal is also away from its level if its smoothed deviation is larger than this."""
WIDE_LEVEL_SCALES = 40.0
"""If the smoothed deviation is larger than this, a new reference is the median of the newest three
rows, because clipped deviations do not say how far the signal is away."""


class GuardParameters(NamedTuple):
    """The kernel's parameters; see `LevelGuard`. Without a guard, `spread` has no elements."""

    location: NDArray[np.float64]
    spread: NDArray[np.float64]
    drift_rate: NDArray[np.float64]
    slope: NDArray[np.float64]
    fit_rows: float
    profile: NDArray[np.float64]
    period: int
    accept_bound: NDArray[np.float64]
    accept_after_rows: int
    references_start: int
    deviations_start: int
    away_rows_start: int
    movements_start: int


def guard_parameters(guard: LevelGuard | None, layout: Layout) -> GuardParameters:
    """Return the kernel's parameters of a guard; None: the signals are not watched."""
    starts = (
        layout.references_start,
        layout.deviations_start,
        layout.away_rows_start,
        layout.movements_start,
    )
    if guard is None:
        empty = np.empty(0)
        return GuardParameters(
            np.empty((1, 0)), empty, empty, empty, 0.0, np.zeros((0, 1)), 1, empty, 1, *starts
        )
    return GuardParameters(
        guard.location,
        guard.spread,
        guard.drift_rate,
        guard.slope,
        guard.fit_rows,
        guard.season.profile,
        guard.season.period,
        guard.accept_bound,
        guard.accept_after_rows,
        *starts,
    )


@inlined_kernel
def start_guard(float_row, int_row, guard, level, has_level):  # type: ignore[no-untyped-def]
    """Reset the guard of a new sensor; a sensor with a level in the model has its reference."""
    location, spread = guard[0], guard[1]
    references_start, deviations_start, away_rows_start = guard[9], guard[10], guard[11]
    int_row[IntColumn.REFERENCE_ROWS] = 0 if has_level else NO_REFERENCE
    float_row[FloatColumn.REFERENCE_ERROR] = 0.0
    for signal in range(len(spread)):
        float_row[references_start + signal] = location[level, signal] if has_level else 0.0
        float_row[deviations_start + signal] = float_row[guard[12] + signal] = 0.0
        int_row[away_rows_start + signal] = 0


@inlined_kernel
def update_guard(  # type: ignore[no-untyped-def]
    float_row, int_row, guard, column_starts, has_own_level, event_time, imputed, measured,
    deviation, reference, next_reference, offset, smoothed_offset,
):  # fmt: skip
    """Update the deviations by one row; write the row's deviations, references and offsets.

    Return whether a signal gets a new reference after this row.
    """
    (
        _, spread, drift_rate, slope, fit_rows, profile, period, accept_bound, accept_after_rows,
        references_start, deviations_start, away_rows_start, _,
    ) = guard  # fmt: skip
    if not has_own_level:
        return False
    if int_row[IntColumn.REFERENCE_ROWS] == NO_REFERENCE:
        int_row[IntColumn.REFERENCE_ROWS] = 0
        float_row[FloatColumn.REFERENCE_ERROR] = NEW_REFERENCE_ERROR
        for signal in range(len(spread)):
            float_row[references_start + signal] = float_row[FloatColumn.LOCATIONS + signal]
    rows, error = int_row[IntColumn.REFERENCE_ROWS], float_row[FloatColumn.REFERENCE_ERROR]
    phase = bin_at(event_time, period, profile.shape[1])
    accepts = False
    for signal in range(len(spread)):
        reference[signal] = float_row[references_start + signal]
        smoothed = float_row[deviations_start + signal]
        if not imputed[signal]:
            scale = float_row[column_starts[0] + signal]
            value = distance_in_scales(measured[signal], reference[signal], scale)
            value -= profile[signal, phase]
            offset[signal] = value
            smoothed = smooth_deviation(smoothed, value)
            float_row[deviations_start + signal] = smoothed
        smoothed_offset[signal] = smoothed
        drift = slope[signal] * (rows + fit_rows / 2.0)
        variance = spread[signal] * spread[signal] + error + drift_rate[signal] * rows
        variance += drift * drift
        deviation[signal] = smoothed / np.sqrt(variance)
        away_rows = int_row[away_rows_start + signal] + 1
        if abs(deviation[signal]) <= accept_bound[signal] and abs(smoothed) <= FAR_SCALES:
            away_rows = 0
        if away_rows >= accept_after_rows:
            _accept_level(float_row, column_starts, guard, signal, measured[signal])
            accepts, away_rows = True, 0
        int_row[away_rows_start + signal] = away_rows
        next_reference[signal] = float_row[references_start + signal]
    int_row[IntColumn.REFERENCE_ROWS] = rows + 1
    return accepts


@inlined_kernel
def smooth_deviation(smoothed, value):  # type: ignore[no-untyped-def]
    """Return the smoothed deviation after one more row with the deviation `value`, in scales."""
    value = min(max(value, -MAX_DEVIATION_SCALES), MAX_DEVIATION_SCALES)
    if abs(smoothed) > BACK_FROM_SCALES and abs(value) < BACK_SHARE * abs(smoothed):
        return BACK_FACTOR * smoothed
    step = min(max(value - smoothed, -MAX_STEP_SCALES), MAX_STEP_SCALES)
    return smoothed + LEVEL_SMOOTHING * step


@inlined_kernel
def _accept_level(float_row, column_starts, guard, signal, measured):  # type: ignore[no-untyped-def]
    """Let the sensor's present level be the signal's reference and location."""
    scales_start, lags_start, _ = column_starts
    references_start, deviations_start = guard[9], guard[10]
    width = lags_start - scales_start
    smoothed = float_row[deviations_start + signal]
    if abs(smoothed) <= WIDE_LEVEL_SCALES:
        level = float_row[references_start + signal] + smoothed * float_row[scales_start + signal]
    else:
        newer, older = float_row[lags_start + signal], float_row[lags_start + width + signal]
        level = max(min(measured, newer), min(max(measured, newer), older))
    float_row[references_start + signal] = level
    float_row[FloatColumn.LOCATIONS + signal] = level
    float_row[deviations_start + signal] = 0.0


def guard_scores(deviation: NDArray[np.float64], guard: LevelGuard | None) -> NDArray[np.float64]:
    """Return the score (n,) of rows by their relative deviations (n, signals), in nats."""
    scores = np.zeros(len(deviation))
    if guard is not None:
        _score_deviations(deviation, guard.table, scores)
    return scores


@kernel
def _score_deviations(deviation, table, scores):  # type: ignore[no-untyped-def]
    for row in range(len(scores)):
        for signal in range(deviation.shape[1]):
            rarity = deviation_rarity(deviation[row, signal], table[signal])
            scores[row] = max(scores[row], rarity)


@inlined_kernel
def deviation_rarity(deviation, table):  # type: ignore[no-untyped-def]
    """Return the rarity, in nats, of a signal's relative deviation; `table`: a `Tail.table`."""
    size = abs(deviation)
    return look_up_rarity(table, np.log(size)) if size > SMALL_DEVIATION else 0.0
