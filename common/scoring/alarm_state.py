"""The state of a sensor's alarm: when an alarm starts, how long it lasts, what is new in it."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import (
    CLEAN_TAIL_START,
    INITIAL_SMOOTHED_SCORE,
    MAX_ROWS_SINCE_ALARM,
    FloatColumn,
    IntColumn,
)

RECENT_ROWS = 100.0
"""Time constant, in rows, by which an alarm's highest recent score decays. Without the decay, this
score would hide a new fault."""
ALARM_END_SHARE = 0.9
"""An alarm starts above the threshold and ends below this share of the threshold."""


@inlined_kernel
def restart_scores(float_state, int_state, is_new_sensor):  # type: ignore[no-untyped-def]
    """Reset the columns that depend on scores: at a new sensor's first row, or after a gap."""
    float_state[FloatColumn.SMOOTHED_SCORE] = INITIAL_SMOOTHED_SCORE
    int_state[IntColumn.IN_ALARM] = 0
    if is_new_sensor:
        float_state[FloatColumn.TAIL_START] = CLEAN_TAIL_START
        float_state[FloatColumn.TAIL_SCALE] = 1.0
        int_state[IntColumn.ROWS_SINCE_ALARM] = MAX_ROWS_SINCE_ALARM


@inlined_kernel
def is_in_alarm(int_state, score, threshold, refractory_rows, is_out_of_order):  # type: ignore[no-untyped-def]
    """Return whether a row with this score is in an alarm; change nothing."""
    was_in_alarm = int_state[IntColumn.IN_ALARM] == 1 and not is_out_of_order
    starts_alarm = score > threshold and (
        is_out_of_order or int_state[IntColumn.ROWS_SINCE_ALARM] >= refractory_rows
    )
    return (was_in_alarm and score >= ALARM_END_SHARE * threshold) or starts_alarm


@inlined_kernel
def advance_alarm(float_state, int_state, score, row_score, in_alarm):  # type: ignore[no-untyped-def]
    """Update a sensor's alarm by a row in time order; return the row's novelty in nats.

    `row_score`: the score without the level guard. Outside an alarm, the novelty of a row is its
    score. Inside an alarm, the novelty is the larger of two values: the excess of the score over
    the alarm's highest score so far, and the excess of `row_score` over its recent highest value.
    So a second fault is visible in a long alarm.
    """
    was_in_alarm = int_state[IntColumn.IN_ALARM] == 1
    recent_score = 0.0
    novelty = score
    if was_in_alarm:
        recent_score = float_state[FloatColumn.ALARM_RECENT_SCORE] * (1.0 - 1.0 / RECENT_ROWS)
        if in_alarm:
            excess = score - float_state[FloatColumn.ALARM_PEAK_SCORE]
            novelty = max(excess, row_score - recent_score, 0.0)
    float_state[FloatColumn.ALARM_RECENT_SCORE] = max(row_score, recent_score)
    float_state[FloatColumn.ALARM_PEAK_SCORE] = max(
        score, float_state[FloatColumn.ALARM_PEAK_SCORE] if was_in_alarm else 0.0
    )
    int_state[IntColumn.IN_ALARM] = 1 if in_alarm else 0
    int_state[IntColumn.ROWS_SINCE_ALARM] = (
        0 if in_alarm else min(int_state[IntColumn.ROWS_SINCE_ALARM] + 1, MAX_ROWS_SINCE_ALARM)
    )
    return novelty
