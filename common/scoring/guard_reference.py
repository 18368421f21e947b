"""The rules by which the reference level of a signal changes."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.sensor_level import distance_in_scales

BACK_SHARE = 0.1
"""A signal has returned if its deviation is less than this share of its smoothed deviation."""
WIDE_LEVEL_SCALES = 40.0
"""Smoothed deviation, in scales, above which a new reference is first the median of the newest
three rows. Above this limit the deviations are clipped, so they do not show the true distance."""
LEARN_LEVEL_ROWS = 30
"""Number of further rows after which their mean replaces the median."""
DISTINCT_LEVELS_SCALES = 4.0
"""Smallest distance, in scales, between the former and the present reference level at which a
signal can return to the former one."""
AT_LEVEL_SCALES = 1.0
"""Largest distance, in scales, of a signal that is at its former reference level. A distance of up
to BACK_SHARE times the distance between the two levels is also allowed."""


@inlined_kernel
def update_reference(  # type: ignore[no-untyped-def]
    float_state, int_state, column_starts, guard, signal, measured, usual_deviation, is_away
):  # fmt: skip
    """Count the rows that a signal is away from its reference level; change the level if needed.

    `usual_deviation`: the deviation that the season expects at this row, in scales. Return whether
    the signal gets another reference level: its present level, or its former reference level.
    """
    away_rows = int_state[guard.away_rows_start + signal] + 1
    changes = False
    if away_rows == 0:
        _shift_reference(float_state, column_starts, guard, signal)
    elif away_rows > 0 and not is_away:
        away_rows = 0
    elif away_rows >= guard.accept_after_rows:
        away_rows = _accept_level(float_state, column_starts, guard, signal, measured)
        changes = True
    elif away_rows > 0 and _is_at_former_reference(
        float_state, int_state, column_starts, guard, signal, measured, usual_deviation
    ):
        _change_reference(
            float_state, guard, signal, float_state[guard.former_references_start + signal]
        )
        away_rows, changes = 0, True
    int_state[guard.away_rows_start + signal] = away_rows
    return changes


@inlined_kernel
def _accept_level(float_state, column_starts, guard, signal, measured):  # type: ignore[no-untyped-def]
    """Set the signal's reference and location to its present level.

    Return the new count of rows away from the reference level. It is negative while the new level
    is still learned.
    """
    if abs(float_state[guard.deviations_start + signal]) <= WIDE_LEVEL_SCALES:
        level = _smoothed_level(float_state, column_starts, guard, signal)
        _change_reference(float_state, guard, signal, level)
        return 0
    level = _median_of_newest(float_state, column_starts, signal, measured)
    _change_reference(float_state, guard, signal, level)
    return -LEARN_LEVEL_ROWS


@inlined_kernel
def _shift_reference(float_state, column_starts, guard, signal):  # type: ignore[no-untyped-def]
    """Set reference and location to the mean of the rows since the level was accepted."""
    level = _smoothed_level(float_state, column_starts, guard, signal)
    float_state[guard.references_start + signal] = level
    float_state[FloatColumn.LOCATIONS + signal] = level
    float_state[guard.deviations_start + signal] = 0.0


@inlined_kernel
def _smoothed_level(float_state, column_starts, guard, signal):  # type: ignore[no-untyped-def]
    """Return the signal's smoothed level, in its unit."""
    scale = float_state[column_starts[0] + signal]
    return (
        float_state[guard.references_start + signal]
        + float_state[guard.deviations_start + signal] * scale
    )


@inlined_kernel
def _is_at_former_reference(  # type: ignore[no-untyped-def]
    float_state, int_state, column_starts, guard, signal, measured, usual_deviation
):  # fmt: skip
    """Return whether a signal has returned to its former reference level.

    The median of the newest three rows is compared. The result is False if the two levels are
    closer than DISTINCT_LEVELS_SCALES. `usual_deviation`: see `update_reference`.
    """
    former_level = float_state[guard.former_references_start + signal]
    distance = float_state[guard.references_start + signal] - former_level
    if distance == 0.0 or int_state[IntColumn.LAG_COUNT] < N_LAGS:
        return False
    scale = float_state[column_starts[0] + signal]
    levels_apart = abs(distance_in_scales(former_level + distance, former_level, scale))
    median = _median_of_newest(float_state, column_starts, signal, measured)
    deviation = abs(distance_in_scales(median, former_level, scale) - usual_deviation)
    return levels_apart >= DISTINCT_LEVELS_SCALES and deviation <= max(
        AT_LEVEL_SCALES, BACK_SHARE * levels_apart
    )


@inlined_kernel
def _median_of_newest(float_state, column_starts, signal, measured):  # type: ignore[no-untyped-def]
    """Return the median of the signal's newest three values; `measured`: the newest."""
    scales_start, lags_start, _ = column_starts
    newer_value = float_state[lags_start + signal]
    older_value = float_state[lags_start + lags_start - scales_start + signal]
    return max(min(measured, newer_value), min(max(measured, newer_value), older_value))


@inlined_kernel
def _change_reference(float_state, guard, signal, level):  # type: ignore[no-untyped-def]
    """Set the signal's reference and location to `level`; keep the former reference."""
    float_state[guard.former_references_start + signal] = float_state[
        guard.references_start + signal
    ]
    float_state[guard.references_start + signal] = level
    float_state[FloatColumn.LOCATIONS + signal] = level
    float_state[guard.deviations_start + signal] = 0.0
