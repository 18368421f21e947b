"""The kernel that follows the deadline of each sensor, row by row; see `silence`."""

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, NOT_SILENT, IntColumn
from sensorwatch.common.scoring.silence_rule import NO_DEADLINE, SilenceColumn

ENDED_VALUES = 4
"""Number of values about a silence that has ended: its last time, the cadence, the position of the
row that revealed it, and the number of the sensor."""

NO_DELAY = 2**63 - 1
"""Delay of a row without a time of receipt."""
DELAY_ROWS = 8
"""Number of rows over which the delay of a sensor is smoothed."""


@kernel
def next_silence(  # type: ignore[no-untyped-def]
    state, ints, sensors, slots, is_new, is_counted, event_time, delay, cadence, limit,
    check_interval, ended_silence, first, is_checked,
):  # fmt: skip
    """Update the deadlines from the row `first` on; stop at a row that begins or ends a silence.

    Return this row, and whether its check is done. If the check is not done, some sensors are after
    their deadline. Otherwise the row ends a silence, and its values are in `ended_silence`. After
    the last row, return the number of rows. `is_checked`: whether the check of the first row is
    done.
    """
    for row in range(first, len(slots)):
        line = ints[slots[row]]
        if not is_checked:
            if is_new[row]:
                start_sensor(state, line)
            if not is_counted[row]:
                continue
            if passes_check(
                state, event_time[row] + min(delay[row], 0), check_interval
            ) and finds_late_sensor(state, ints, sensors, slots[row]):
                return row, False
        is_checked = False
        was_silent = line[IntColumn.SILENT_POSITION] != NOT_SILENT
        if was_silent:
            ended_silence[0] = line[IntColumn.SILENCE_LAST]
            ended_silence[1] = line[IntColumn.SILENCE_CADENCE]
            ended_silence[2] = line[IntColumn.SILENT_POSITION]
            ended_silence[3] = line[IntColumn.SILENT_NUMBER]
            line[IntColumn.SILENT_POSITION] = NOT_SILENT
            line[IntColumn.SILENT_NUMBER] = 0
            state[SilenceColumn.SILENT_SENSORS] -= 1
        line[IntColumn.SILENCE_LAST] = event_time[row]
        line[IntColumn.SILENCE_CADENCE] = cadence[row]
        update_delay(line, delay[row])
        line[IntColumn.SILENCE_LIMIT] = limit[row]
        line[IntColumn.SILENCE_PAUSES] = 0
        deadline = NO_DEADLINE
        if limit[row] > 0:
            deadline = state[SilenceColumn.EVENT_TIME] + limit[row]
        line[IntColumn.SILENCE_DEADLINE] = deadline
        state[SilenceColumn.NEXT_DEADLINE] = min(state[SilenceColumn.NEXT_DEADLINE], deadline)
        if was_silent:
            return row, True
    return len(slots), False


@inlined_kernel
def start_sensor(state, line):  # type: ignore[no-untyped-def]
    """Reset the line of a new sensor, which may have the slot of an evicted sensor."""
    if line[IntColumn.SILENT_POSITION] != NOT_SILENT:
        state[SilenceColumn.SILENT_SENSORS] -= 1
    line[IntColumn.SILENCE_LAST] = NO_ROW_YET
    line[IntColumn.SILENCE_CADENCE] = 0
    line[IntColumn.SILENCE_LIMIT] = 0
    line[IntColumn.SILENCE_DEADLINE] = NO_DEADLINE
    line[IntColumn.SILENCE_PAUSES] = 0
    line[IntColumn.SILENT_POSITION] = NOT_SILENT
    line[IntColumn.SILENT_NUMBER] = 0
    line[IntColumn.CLOCK_DELAY] = NO_ROW_YET


@inlined_kernel
def update_delay(line, delay):  # type: ignore[no-untyped-def]
    """Move the smoothed delay of a sensor by 1 / DELAY_ROWS of the way to the delay of a row."""
    if delay == NO_DELAY:
        return
    if line[IntColumn.CLOCK_DELAY] == NO_ROW_YET:
        line[IntColumn.CLOCK_DELAY] = delay
    else:
        line[IntColumn.CLOCK_DELAY] += (delay - line[IntColumn.CLOCK_DELAY]) // DELAY_ROWS


@inlined_kernel
def passes_check(state, time, check_interval):  # type: ignore[no-untyped-def]
    """Update the event time of the partition; return whether the row must check all deadlines."""
    old_time = state[SilenceColumn.EVENT_TIME]
    if time <= old_time:
        return False
    state[SilenceColumn.EVENT_TIME] = time
    state[SilenceColumn.PREVIOUS_EVENT_TIME] = old_time
    if time <= state[SilenceColumn.NEXT_DEADLINE]:
        return False
    return time // check_interval != old_time // check_interval


@inlined_kernel
def finds_late_sensor(state, ints, sensors, own_slot):  # type: ignore[no-untyped-def]
    """Return whether a sensor is after its deadline; the sensor of the row itself is left out."""
    is_any_late, next_deadline = False, NO_DEADLINE
    for slot in range(sensors):
        deadline = ints[slot, IntColumn.SILENCE_DEADLINE]
        if deadline >= state[SilenceColumn.EVENT_TIME]:
            next_deadline = min(next_deadline, deadline)
        elif slot != own_slot:
            is_any_late = True
    state[SilenceColumn.NEXT_DEADLINE] = next_deadline
    return is_any_late
