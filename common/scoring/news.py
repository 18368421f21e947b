"""The rules that suppress repeats and recoveries of a known fault.

For each sensor, the memory stores the changes of the recent alarms (see `changes`), their lowest
rate of false alarms, their number, and the time of their newest row. It forgets these values after
MEMORY_ROWS rows.
"""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.alarm_rates import count_met_budgets
from sensorwatch.common.scoring.changes import CHANGE_BITS, opposite_changes
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.suppression import MODEL_SUPPRESSIONS

REPEAT_ROWS = 30
"""A similar episode is a repeat if it begins at most this number of rows after an alarm. An episode
is similar if its leading signal changed in the same direction in the recent alarms."""
MEMORY_ROWS = 300
"""Number of rows without an alarm after which the recent alarms are forgotten."""
RECURRING_ALARMS = 4
"""After this number of similar alarms, each more than REPEAT_ROWS rows after the one before it,
similar episodes count as repeats for MEMORY_ROWS rows instead of REPEAT_ROWS rows."""
FLAPPING_ALARMS = 3
"""Number of similar alarms from which a repeat counts as flapping."""
NEWS_NATS, NEWS_SHARE = 2.3, 0.5
"""An episode is clearly rarer than the recent alarms if the logarithm of its rate of false alarms
is lower than their logarithm by more than NEWS_NATS (a factor of 10), and by more than NEWS_SHARE
times the absolute value of their logarithm."""

_NONE, _RECOVERY, _REPEAT, _FLAPPING = range(MODEL_SUPPRESSIONS)
# IntColumn.RECENT_ALARMS has four parts. From the lowest bit on, these are: changes, number of
# similar alarms, number of recurring alarms, suppression of the open or newest episode.
_ALIKE_SHIFT, _RECURRING_SHIFT, SUPPRESSION_SHIFT = CHANGE_BITS, CHANGE_BITS + 10, CHANGE_BITS + 13
_CHANGES, _MAX_ALIKE, _MAX_RECURRING = (1 << CHANGE_BITS) - 1, (1 << 10) - 1, (1 << 3) - 1


@inlined_kernel
def forget_alarms(float_state, int_state):  # type: ignore[no-untyped-def]
    """Forget the recent alarms of a sensor."""
    int_state[IntColumn.RECENT_ALARMS] = 0
    float_state[FloatColumn.RECENT_RATE] = 0.0


@inlined_kernel
def alike_alarms(int_state):  # type: ignore[no-untyped-def]
    """Return the number of the sensor's recent similar alarms, including suppressed ones."""
    return (int_state[IntColumn.RECENT_ALARMS] >> _ALIKE_SHIFT) & _MAX_ALIKE


@inlined_kernel
def _recurring_alarms(int_state):  # type: ignore[no-untyped-def]
    return (int_state[IntColumn.RECENT_ALARMS] >> _RECURRING_SHIFT) & _MAX_RECURRING


@inlined_kernel
def suppression_of(int_state):  # type: ignore[no-untyped-def]
    """Return the suppression number of the sensor's open or newest episode."""
    return int_state[IntColumn.RECENT_ALARMS] >> SUPPRESSION_SHIFT


@inlined_kernel
def set_suppression(int_state, suppression):  # type: ignore[no-untyped-def]
    """Store the suppression of the sensor's open episode."""
    other_bits = int_state[IntColumn.RECENT_ALARMS] & ((1 << SUPPRESSION_SHIFT) - 1)
    int_state[IntColumn.RECENT_ALARMS] = other_bits | (suppression << SUPPRESSION_SHIFT)


@inlined_kernel
def first_suppression(float_state, int_state, event_time, cadence, leading, is_back, rate, budgets):  # type: ignore[no-untyped-def]
    """Return the suppression of an episode at its first row, as its position in SUPPRESSIONS.

    `leading`, `is_back`: see `RowChanges`. `rate`: number of false episodes per sensor-day with at
    least the score of the row.
    """
    rows_since_alarm = (event_time - int_state[IntColumn.RECENT_TIME]) / cadence
    if rows_since_alarm > MEMORY_ROWS or is_above_recent(float_state, rate, budgets):
        return _NONE
    recent_changes = int_state[IntColumn.RECENT_ALARMS] & _CHANGES
    if leading & recent_changes:
        if rows_since_alarm > REPEAT_ROWS and _recurring_alarms(int_state) < RECURRING_ALARMS:
            return _NONE
        return _FLAPPING if alike_alarms(int_state) + 1 >= FLAPPING_ALARMS else _REPEAT
    is_recovery = (
        rows_since_alarm <= REPEAT_ROWS
        and is_back
        and (leading & opposite_changes(recent_changes)) != 0
    )
    return _RECOVERY if is_recovery else _NONE


@inlined_kernel
def is_above_recent(float_state, rate, budgets):  # type: ignore[no-untyped-def]
    """Return whether a rate of false alarms is clearly below that of the recent alarms."""
    recent_rate = float_state[FloatColumn.RECENT_RATE]
    if recent_rate <= 0.0:
        return True
    recent_nats = np.log(recent_rate)
    if np.log(rate) < recent_nats - max(NEWS_NATS, NEWS_SHARE * abs(recent_nats)):
        return True
    return count_met_budgets(budgets, rate) > count_met_budgets(budgets, recent_rate)


@inlined_kernel
def new_changes(int_state, leading, away, is_back):  # type: ignore[no-untyped-def]
    """Return the changes of a row that are not in any recent alarm. A recovery is not a change.

    `leading`, `away`, `is_back`: see `RowChanges`.
    """
    recent_changes = int_state[IntColumn.RECENT_ALARMS] & _CHANGES
    if is_back and (leading & opposite_changes(recent_changes)) != 0:
        return away & ~recent_changes
    return (away | leading) & ~recent_changes


@inlined_kernel
def remember_alarm(  # type: ignore[no-untyped-def]
    float_state, int_state, event_time, cadence, leading, away, is_back, rate, budgets, is_first_row
):  # fmt: skip
    """Add a row of an alarm to the recent alarms, unless the row is a recovery.

    `leading`, `away`, `is_back`: see `RowChanges`. `rate`: number of false episodes per sensor-day
    with at least the peak of the alarm's episode. `is_first_row`: whether the row is the first row
    of its episode that is rare enough for the budget of `warning`.
    """
    suppression = suppression_of(int_state)
    if suppression == _RECOVERY:
        return
    if is_first_row:
        rows_since_alarm = (event_time - int_state[IntColumn.RECENT_TIME]) / cadence
        is_alike = (leading & int_state[IntColumn.RECENT_ALARMS] & _CHANGES) != 0
        is_old = rows_since_alarm > MEMORY_ROWS or (rows_since_alarm > REPEAT_ROWS and not is_alike)
        if suppression == _NONE and (is_old or is_above_recent(float_state, rate, budgets)):
            forget_alarms(float_state, int_state)
        similar_count, recurring_count = alike_alarms(int_state), _recurring_alarms(int_state)
        if similar_count == 0 or is_alike:
            if recurring_count < _MAX_RECURRING and (
                similar_count == 0 or rows_since_alarm > REPEAT_ROWS
            ):
                int_state[IntColumn.RECENT_ALARMS] += 1 << _RECURRING_SHIFT
            if similar_count < _MAX_ALIKE:
                int_state[IntColumn.RECENT_ALARMS] += 1 << _ALIKE_SHIFT
    recent_rate = float_state[FloatColumn.RECENT_RATE]
    float_state[FloatColumn.RECENT_RATE] = min(recent_rate, rate) if recent_rate > 0.0 else rate
    int_state[IntColumn.RECENT_TIME] = event_time
    int_state[IntColumn.RECENT_ALARMS] |= new_changes(int_state, leading, away, is_back)
