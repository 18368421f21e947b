"""Silent sensors: sensors that send no rows while other sensors of their partition do.

The event time of a partition is the largest event time of its rows so far. If the event time of a
row is later than its receipt, the time of receipt is used instead. A sensor has a deadline: the
partition's event time at its newest row, plus its limit (see `SilenceRule.limits`). The sensors are
checked at rows where the partition's event time crosses a multiple of `check_seconds`. A sensor is
silent from the first check after its deadline until its next row. Late rows, duplicates and rows
without a signal are ignored. So the result depends only on the records in offset order.

A pause of the whole partition must not make all sensors silent. A row shows such a pause if it
moves the event time by more than half of a sensor's limit. If the sensor's deadline has then
passed, the sensor gets a new deadline: the event time of this row plus its limit. A sensor gets
only one new deadline between two of its rows.
"""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.silence_limits import NO_RULE, silence_limits
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.strict_parsing import Times, times_as_array
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import IntColumn
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.silence_rows import ENDED_VALUES, NO_DELAY, next_silence
from sensorwatch.common.scoring.silence_rule import (
    NO_DEADLINE,
    SensorSilence,
    SilenceColumn,
    SilenceRule,
)
from sensorwatch.common.scoring.status import STATUSES, Status

_LATE = STATUSES.index(Status.LATE)


def track_silences(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    received: Times | None,
    levels: Levels,
    policy: AlarmPolicy | None,
    memory: Memory,
) -> list[SensorSilence]:
    """Return the silences that began or ended, in the order of the rows; update `memory`.

    `positions`: shape (n,), positions of the readings in their stream. `received`: time of receipt
    of each record, see `process`. The limits that `policy` sets replace those of the rule.
    """
    rule = memory.silence_rule
    if not rule.is_on or not len(readings):
        return []
    rows = _Rows(readings, recalled, positions, memory)
    parameters = (
        memory.silence,
        memory.ints,
        memory.sensors,
        recalled.slots,
        recalled.new_sensor_level >= 0,
        recalled.status < _LATE,
        readings.event_time,
        _delays(readings, received),
        recalled.cadence.astype(np.int64),
        _limits(readings, recalled, levels, policy, rule),
        int(rule.check_seconds * 1e6),
    )
    silences: list[SensorSilence] = []
    ended_silence = np.zeros(ENDED_VALUES, dtype=np.int64)
    row, is_checked = next_silence(*parameters, ended_silence, 0, False)
    while row < len(readings):
        if is_checked:
            silences.append(rows.end_of_silence(row, ended_silence))
            row, is_checked = next_silence(*parameters, ended_silence, row + 1, False)
        else:
            silences += rows.begin_silences(row)
            row, is_checked = next_silence(*parameters, ended_silence, row, True)
    return silences


class _Rows:
    """The rows of a micro-batch with the memory that they change."""

    def __init__(
        self,
        readings: Readings,
        recalled: RecalledRows,
        positions: NDArray[np.int64],
        memory: Memory,
    ) -> None:
        self._readings = readings
        self._recalled = recalled
        self._positions = positions
        self._memory = memory
        self._evictions = sorted(recalled.evicted.items())

    def end_of_silence(self, row: int, ended_silence: NDArray[np.int64]) -> SensorSilence:
        """Return the end of the silence of the row's sensor.

        `ended_silence`: shape (ENDED_VALUES,), see `next_silence`.
        """
        last, cadence, begin_position, number = ended_silence.tolist()
        time = int(self._readings.event_time[row])
        return self._silence(
            row,
            sensor_id=self._readings.sensor_ids[self._readings.sensor[row]],
            last=last,
            silent_time=max(time - last, 0),
            cadence=cadence,
            begin_position=begin_position,
            number=number,
            is_back=True,
        )

    def begin_silences(self, row: int) -> list[SensorSilence]:
        """Return the sensors that are silent at a row, and mark them in the memory.

        After a pause of the whole partition, a sensor gets a new deadline instead.
        """
        memory, state = self._memory, self._memory.silence
        time = int(state[SilenceColumn.EVENT_TIME])
        is_late = memory.ints[: memory.sensors, IntColumn.SILENCE_DEADLINE] < time
        is_late[self._recalled.slots[row]] = False
        slots = np.flatnonzero(is_late)
        memory.save_for_undo(slots)
        lines = memory.ints[slots]
        limits = lines[:, IntColumn.SILENCE_LIMIT]
        step = time - int(state[SilenceColumn.PREVIOUS_EVENT_TIME])
        is_paused = (2 * step > limits) & (lines[:, IntColumn.SILENCE_PAUSES] == 0)
        paused_slots, silent_slots = slots[is_paused], slots[~is_paused]
        if len(paused_slots):
            deadlines = time + limits[is_paused]
            memory.ints[paused_slots, IntColumn.SILENCE_DEADLINE] = deadlines
            memory.ints[paused_slots, IntColumn.SILENCE_PAUSES] = 1
            next_deadline = min(int(state[SilenceColumn.NEXT_DEADLINE]), int(deadlines.min()))
            state[SilenceColumn.NEXT_DEADLINE] = next_deadline
        position = int(self._positions[row])
        memory.ints[silent_slots, IntColumn.SILENCE_DEADLINE] = NO_DEADLINE
        memory.ints[silent_slots, IntColumn.SILENT_POSITION] = position
        memory.ints[silent_slots, IntColumn.SILENT_NUMBER] = np.arange(len(silent_slots))
        state[SilenceColumn.SILENT_SENSORS] += len(silent_slots)
        return [
            self._silence(
                row,
                sensor_id=self._sensor_at(slot, row),
                last=last,
                silent_time=max(time - last, 0),
                cadence=cadence,
                begin_position=position,
                number=number,
                is_back=False,
            )
            for number, (slot, last, cadence) in enumerate(
                zip(
                    silent_slots.tolist(),
                    memory.ints[silent_slots, IntColumn.SILENCE_LAST].tolist(),
                    memory.ints[silent_slots, IntColumn.SILENCE_CADENCE].tolist(),
                    strict=True,
                )
            )
        ]

    def _silence(
        self,
        row: int,
        *,
        sensor_id: str,
        last: int,
        silent_time: int,
        cadence: int,
        begin_position: int,
        number: int,
        is_back: bool,
    ) -> SensorSilence:
        return SensorSilence(
            index=int(self._readings.index[row]),
            position=int(self._positions[row]),
            time=int(self._readings.event_time[row]),
            sensor_id=sensor_id,
            last=last,
            silent_time=silent_time,
            cadence=cadence,
            severity=self._memory.silence_rule.severity,
            begin_position=begin_position,
            number=number,
            is_back=is_back,
        )

    def _sensor_at(self, slot: int, row: int) -> str:
        """Return the sensor that had a slot at a row; a later row may have evicted it."""
        for evicting_row, name in self._evictions:
            if evicting_row > row and self._recalled.slots[evicting_row] == slot:
                return name
        return self._memory.names[slot]


def _delays(readings: Readings, received: Times | None) -> NDArray[np.int64]:
    """Return the time (n,) from the event time of each row to its receipt, or NO_DELAY."""
    if received is None:
        return np.full(len(readings), NO_DELAY)
    received_of_row = times_as_array(received, len(received))[readings.index]
    delays = np.where(received_of_row == NO_TIME, 0, received_of_row) - readings.event_time
    return np.where(received_of_row == NO_TIME, NO_DELAY, delays)


def _limits(
    readings: Readings,
    recalled: RecalledRows,
    levels: Levels,
    policy: AlarmPolicy | None,
    rule: SilenceRule,
) -> NDArray[np.int64]:
    """Return the limit (n,) of each row's sensor in microseconds; 0 if the sensor has no limit."""
    limits = rule.limits(recalled.cadence, _gap_factors(readings, levels))
    if policy is None or not policy.silences:
        return limits
    policy_limits = silence_limits(policy, readings.sensor_ids)[readings.sensor]
    return np.where(policy_limits == NO_RULE, limits, policy_limits)


def _gap_factors(readings: Readings, levels: Levels) -> NDArray[np.float64]:
    """Return the gap factor (n,) of each row's sensor."""
    level_by_sensor = levels.level_by_sensor
    level_of_sensor = np.asarray(
        [level_by_sensor.get(name, 0) for name in readings.sensor_ids], dtype=np.int64
    )
    gap_factors: NDArray[np.float64] = levels.gap_factor[level_of_sensor][readings.sensor]
    return gap_factors
