"""The rules by which repeats and the recovery of a known fault are suppressed.

The memory of a sensor keeps the changes of its newest alarms (see `changes`), their lowest rate of
false alarms, their number, and the time of their newest row. It forgets them after MEMORY_ROWS.
"""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.alarm_rates import severity_of
from sensorwatch.common.scoring.changes import CHANGE_BITS, opposite_changes
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.suppression import SUPPRESSIONS

REPEAT_ROWS = 30
"""An alike episode is a repeat if it begins at most this number of rows after an alarm. Alike: led
by a signal and direction of the recent alarms."""
MEMORY_ROWS = 300
"""Recent alarms are forgotten after this number of rows without one."""
RECURRING_ALARMS = 4
"""If an alarm has come this number of times, each more than REPEAT_ROWS after the one before it,
alike episodes are repeats for MEMORY_ROWS rows instead of REPEAT_ROWS rows."""
FLAPPING_ALARMS = 3
"""A repeat is flapping if it is at least this number in its series of alike alarms."""
NEWS_NATS, NEWS_SHARE = 2.3, 0.5
"""An episode is clearly above the recent alarms if the logarithm of its rate of false alarms is
lower than theirs by more than NEWS_NATS (a factor of 10), and by more than NEWS_SHARE of the size
of their logarithm."""

_NONE, _RECOVERY, _REPEAT, _FLAPPING = range(len(SUPPRESSIONS))
# IntColumn.RECENT_ALARMS has four parts, from the lowest bit on: changes, number of alike alarms,
# number of recurring alarms, suppression of the open or newest episode.
_ALIKE_SHIFT, _RECURRING_SHIFT, _SUPPRESSION_SHIFT = CHANGE_BITS, CHANGE_BITS + 10, CHANGE_BITS + 13
_CHANGES, _MAX_ALIKE, _MAX_RECURRING = (1 << CHANGE_BITS) - 1, (1 << 10) - 1, (1 << 3) - 1


@inlined_kernel
def forget_alarms(float_row, int_row):  # type: ignore[no-untyped-def]
    """Forget the recent alarms of a sensor."""
    int_row[IntColumn.RECENT_ALARMS] = 0
    float_row[FloatColumn.RECENT_RATE] = 0.0


@inlined_kernel
def alike_alarms(int_row):  # type: ignore[no-untyped-def]
    """Return the number of the sensor's recent alike alarms, including suppressed ones."""
    return (int_row[IntColumn.RECENT_ALARMS] >> _ALIKE_SHIFT) & _MAX_ALIKE


@inlined_kernel
def _recurring_alarms(int_row):  # type: ignore[no-untyped-def]
    return (int_row[IntColumn.RECENT_ALARMS] >> _RECURRING_SHIFT) & _MAX_RECURRING


@inlined_kernel
def suppression_of(int_row):  # type: ignore[no-untyped-def]
    """Return the number of the suppression of the sensor's open or newest episode."""
    return int_row[IntColumn.RECENT_ALARMS] >> _SUPPRESSION_SHIFT


@inlined_kernel
def set_suppression(int_row, suppression):  # type: ignore[no-untyped-def]
    """Store the suppression of the sensor's open episode."""
    kept = int_row[IntColumn.RECENT_ALARMS] & ((1 << _SUPPRESSION_SHIFT) - 1)
    int_row[IntColumn.RECENT_ALARMS] = kept | (suppression << _SUPPRESSION_SHIFT)


@inlined_kernel
def first_suppression(float_row, int_row, event_time, cadence, leading, is_back, rate, budgets):  # type: ignore[no-untyped-def]
    """Return the number of the suppression of an episode, from its first row.

    `leading`, `is_back`: see `RowChanges`. `rate`: false episodes a sensor-day with at least
    the score of the row.
    """
    age = (event_time - int_row[IntColumn.RECENT_TIME]) / cadence
    if age > MEMORY_ROWS or is_above_recent(float_row, rate, budgets):
        return _NONE
    recent = int_row[IntColumn.RECENT_ALARMS] & _CHANGES
    if leading & recent:
        if age > REPEAT_ROWS and _recurring_alarms(int_row) < RECURRING_ALARMS:
            return _NONE
        return _FLAPPING if alike_alarms(int_row) + 1 >= FLAPPING_ALARMS else _REPEAT
    is_recovery = age <= REPEAT_ROWS and is_back and (leading & opposite_changes(recent)) != 0
    return _RECOVERY if is_recovery else _NONE


@inlined_kernel
def is_above_recent(float_row, rate, budgets):  # type: ignore[no-untyped-def]
    """Return whether a rate of false alarms is clearly below that of the recent alarms."""
    recent_rate = float_row[FloatColumn.RECENT_RATE]
    if recent_rate <= 0.0:
        return True
    recent_nats = np.log(recent_rate)
    if np.log(rate) < recent_nats - max(NEWS_NATS, NEWS_SHARE * abs(recent_nats)):
        return True
    return severity_of(budgets, rate) > severity_of(budgets, recent_rate)


@inlined_kernel
def new_changes(int_row, leading, away, is_back):  # type: ignore[no-untyped-def]
    """Return the changes of a row that no recent alarm has; a recovery does not count as a change.

    `leading`, `away`, `is_back`: see `RowChanges`.
    """
    recent = int_row[IntColumn.RECENT_ALARMS] & _CHANGES
    if is_back and (leading & opposite_changes(recent)) != 0:
        return away & ~recent
    return (away | leading) & ~recent


@inlined_kernel
def remember_alarm(  # type: ignore[no-untyped-def]
    float_row, int_row, event_time, cadence, leading, away, is_back, rate, budgets, is_first_row
):  # fmt: skip
    """Add a row of an alarm to the recent alarms; a recovery is not added.

    `leading`, `away`, `is_back`: see `RowChanges`. `rate`: false episodes a sensor-day with at
    least the peak of the alarm's episode. `is_first_row`: whether the row is the first one of its
    episode that is within the budget of `warning`.
    """
    suppression = suppression_of(int_row)
    if suppression == _RECOVERY:
        return
    if is_first_row:
        age = (event_time - int_row[IntColumn.RECENT_TIME]) / cadence
        is_alike = (leading & int_row[IntColumn.RECENT_ALARMS] & _CHANGES) != 0
        is_old = age > MEMORY_ROWS or (age > REPEAT_ROWS and not is_alike)
        if suppression == _NONE and (is_old or is_above_recent(float_row, rate, budgets)):
            forget_alarms(float_row, int_row)
        alike, recurring = alike_alarms(int_row), _recurring_alarms(int_row)
        if alike == 0 or is_alike:
            if recurring < _MAX_RECURRING and (alike == 0 or age > REPEAT_ROWS):
                int_row[IntColumn.RECENT_ALARMS] += 1 << _RECURRING_SHIFT
            if alike < _MAX_ALIKE:
                int_row[IntColumn.RECENT_ALARMS] += 1 << _ALIKE_SHIFT
    recent_rate = float_row[FloatColumn.RECENT_RATE]
    float_row[FloatColumn.RECENT_RATE] = min(recent_rate, rate) if recent_rate > 0.0 else rate
    int_row[IntColumn.RECENT_TIME] = event_time
    int_row[IntColumn.RECENT_ALARMS] |= new_changes(int_row, leading, away, is_back)
