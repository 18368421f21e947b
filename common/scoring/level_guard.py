"""The deviation of each signal's smoothed level from its reference level.

The reference is the level in training. For a new sensor, it is the level that the memory learned.
The reference does not follow the signal. A signal gets a new reference only if it stays away from
the reference for `accept_after_rows` rows, or if it returns to its former reference.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.alarm_rates import LEVEL_SPAN_ROWS
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.tails import look_up_rarity
from sensorwatch.common.scoring.guard_reference import (
    BACK_SHARE,
    LEARN_LEVEL_ROWS,
    update_reference,
)
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
"""The difference between a row's deviation and the smoothed deviation is clipped to this number of
scales, so that a spike of one row does not change the level."""
BACK_FROM_SCALES = 2.0
"""Smoothed deviation, in scales, above which BACK_FACTOR is used."""
BACK_FACTOR = 0.5
"""Factor by which each row multiplies the smoothed deviation of a signal that has returned to its
reference level. So the alarm of a long change ends soon after the change."""
MAX_DEVIATION_SCALES = 50.0
"""Largest size of a deviation, in scales; larger ones are clipped."""
NEW_REFERENCE_ERROR = 1.0
"""Variance, in squared scales, of a reference that was learned from a few rows in service."""
SMALL_DEVIATION = 1.0
"""Largest relative deviation whose score is 0."""
FAR_SCALES = 8.0
"""Smoothed deviation, in scales, above which a signal counts as away from its level in any case."""


class GuardParameters(NamedTuple):
    """The kernel's parameters; see `LevelGuard`. `spread` is empty if the model has no guard."""

    location: NDArray[np.float64]
    spread: NDArray[np.float64]
    drift_rate: NDArray[np.float64]
    slope: NDArray[np.float64]
    fit_rows: float
    profile: NDArray[np.float64]
    accept_bound: NDArray[np.float64]
    accept_after_rows: int
    references_start: int
    former_references_start: int
    deviations_start: int
    away_rows_start: int


def guard_parameters(guard: LevelGuard | None, layout: Layout) -> GuardParameters:
    """Return the kernel's parameters; if `guard` is None, the kernel watches no signal."""
    starts = (
        layout.references_start,
        layout.former_references_start,
        layout.deviations_start,
        layout.away_rows_start,
    )
    if guard is None:
        empty_array = np.empty(0)
        return GuardParameters(
            np.empty((1, 0)),
            empty_array,
            empty_array,
            empty_array,
            0.0,
            np.zeros((0, 1)),
            empty_array,
            1,
            *starts,
        )
    return GuardParameters(
        guard.location,
        guard.spread,
        guard.drift_rate,
        guard.slope,
        guard.fit_rows,
        guard.season.profile,
        guard.accept_bound,
        guard.accept_after_rows,
        *starts,
    )


@inlined_kernel
def start_guard(float_state, int_state, guard, level, has_level):  # type: ignore[no-untyped-def]
    """Reset the guard of a new sensor; its first reference is its level in the model, if any."""
    int_state[IntColumn.REFERENCE_ROWS] = 0 if has_level else NO_REFERENCE
    float_state[FloatColumn.REFERENCE_ERROR] = 0.0
    for signal in range(len(guard.spread)):
        reference = guard.location[level, signal] if has_level else 0.0
        float_state[guard.references_start + signal] = reference
        float_state[guard.former_references_start + signal] = reference
        float_state[guard.deviations_start + signal] = 0.0
        int_state[guard.away_rows_start + signal] = 0


@inlined_kernel
def update_guard(  # type: ignore[no-untyped-def]
    float_state, int_state, guard, column_starts, has_own_level, phase, imputed, measured,
    deviation, reference, next_reference, offset, smoothed_offset,
):  # fmt: skip
    """Update the deviations by one row; write the row's deviations, references and offsets.

    Return whether a signal gets a new reference after this row.
    """
    spread, profile = guard.spread, guard.profile
    references_start, deviations_start = guard.references_start, guard.deviations_start
    if not has_own_level:
        return False
    if int_state[IntColumn.REFERENCE_ROWS] == NO_REFERENCE:
        int_state[IntColumn.REFERENCE_ROWS] = 0
        float_state[FloatColumn.REFERENCE_ERROR] = NEW_REFERENCE_ERROR
        for signal in range(len(spread)):
            reference_level = float_state[FloatColumn.LOCATIONS + signal]
            float_state[references_start + signal] = reference_level
            float_state[guard.former_references_start + signal] = reference_level
    rows, error = int_state[IntColumn.REFERENCE_ROWS], float_state[FloatColumn.REFERENCE_ERROR]
    accepts_level = False
    for signal in range(len(spread)):
        reference[signal] = float_state[references_start + signal]
        smoothed = float_state[deviations_start + signal]
        if not imputed[signal]:
            scale = float_state[column_starts[0] + signal]
            value = distance_in_scales(measured[signal], reference[signal], scale)
            value -= profile[signal, phase]
            offset[signal] = value
            learned_rows = int_state[guard.away_rows_start + signal] + LEARN_LEVEL_ROWS
            if learned_rows < LEARN_LEVEL_ROWS:
                smoothed += (value - smoothed) / (learned_rows + 1)
            else:
                smoothed = smooth_deviation(smoothed, value)
            float_state[deviations_start + signal] = smoothed
        smoothed_offset[signal] = smoothed
        drift = guard.slope[signal] * (rows + guard.fit_rows / 2.0)
        variance = spread[signal] * spread[signal] + error + guard.drift_rate[signal] * rows
        variance += drift * drift
        deviation[signal] = smoothed / np.sqrt(variance)
        is_away = abs(deviation[signal]) > guard.accept_bound[signal] or abs(smoothed) > FAR_SCALES
        if update_reference(float_state, int_state, column_starts, guard, signal, measured[signal],
                             profile[signal, phase], is_away):  # fmt: skip
            accepts_level = True
        next_reference[signal] = float_state[references_start + signal]
    int_state[IntColumn.REFERENCE_ROWS] = rows + 1
    return accepts_level


@inlined_kernel
def smooth_deviation(smoothed, value):  # type: ignore[no-untyped-def]
    """Return the smoothed deviation after one more row with the deviation `value`, in scales."""
    value = min(max(value, -MAX_DEVIATION_SCALES), MAX_DEVIATION_SCALES)
    if abs(smoothed) > BACK_FROM_SCALES and abs(value) < BACK_SHARE * abs(smoothed):
        return BACK_FACTOR * smoothed
    step = min(max(value - smoothed, -MAX_STEP_SCALES), MAX_STEP_SCALES)
    return smoothed + LEVEL_SMOOTHING * step


def guard_scores(deviation: NDArray[np.float64], guard: LevelGuard | None) -> NDArray[np.float64]:
    """Return the score (n,) of rows, in nats, from their relative deviations (n, signals)."""
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
