"""The state of each sensor in a memory: last row, cadence, level, alarm, silence, flat lines."""

from dataclasses import dataclass

import numpy as np

from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.clock_skew import MAX_SKEW_SECONDS, clock_skews
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.flat_lines import flat_rows
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import (
    NO_ROW_YET,
    FloatColumn,
    IntColumn,
)
from sensorwatch.common.scoring.open_episodes import open_severities
from sensorwatch.common.scoring.silence_rule import SilenceColumn
from sensorwatch.common.scoring.silent_sensors import silent_slots

OK, SILENT = "ok", "silent"


@dataclass(frozen=True, slots=True)
class SensorState:
    """The state of one sensor at the committed offset of its partition."""

    sensor_id: str
    topic: str
    partition: int
    status: str
    """`silent`, the severity of the open alarm, or `ok`."""
    last: str
    """Event time of the newest row, RFC 3339 in UTC; empty if there is none."""
    silent_seconds: float
    """Time without a row, in event time of the partition; 0 if the sensor is not silent."""
    silent_after_seconds: float
    """Time without a row after which it is silent; 0 if it has no limit."""
    cadence_seconds: float
    """Typical interval between two rows; 0 if it is not learned yet."""
    alarm: str
    """Severity of the open alarm; empty if there is none."""
    alarm_start: str
    """Event time of the alarm's first row, RFC 3339 in UTC; empty if there is no alarm."""
    alarm_rows: int
    """Number of anomalous rows of the open alarm."""
    skew_seconds: float
    """How far its clock is ahead of the clocks of its partition; 0 up to MAX_SKEW_SECONDS."""
    flat_rows: dict[str, int]
    """For each signal with a flat line, the number of rows that repeat its value."""
    level: dict[str, float]
    """Usual level of each signal. For a counter it is a rate."""


def sensor_states(partition: Partition, memory: Memory, detector: Detector) -> list[SensorState]:
    """Return the state of each sensor of a partition; `detector`: the one that scored its rows."""
    sensors, signals = memory.sensors, memory.layout.signals
    slots, severities = open_severities(memory, detector.alarm_rates)
    severity_of_slot = {
        slot: SEVERITIES[severity].value
        for slot, severity in zip(slots.tolist(), severities.tolist(), strict=True)
    }
    columns = memory.ints[:sensors, _COLUMNS].tolist()
    cadences = (memory.floats[:sensors, FloatColumn.CADENCE] / 1e6).tolist()
    locations = slice(FloatColumn.LOCATIONS, FloatColumn.LOCATIONS + len(signals))
    levels = memory.floats[:sensors, locations].tolist()
    repeats = flat_rows(memory, detector.forecast).tolist()
    skews = clock_skews(memory)
    skews[np.abs(skews) <= MAX_SKEW_SECONDS] = 0.0
    event_time = int(memory.silence[SilenceColumn.EVENT_TIME])
    silent = set(silent_slots(memory, detector.policy).tolist())
    states = []
    for slot, (name, cadence, level) in enumerate(zip(memory.names, cadences, levels, strict=True)):
        last, start, rows, silence_last, silence_limit = columns[slot]
        alarm = severity_of_slot.get(slot, "")
        is_silent = slot in silent
        states.append(
            SensorState(
                sensor_id=name,
                topic=partition.topic,
                partition=partition.number,
                status=SILENT if is_silent else alarm or OK,
                last="" if last == NO_ROW_YET else format_instant(last),
                silent_seconds=max(event_time - silence_last, 0) / 1e6 if is_silent else 0.0,
                silent_after_seconds=silence_limit / 1e6,
                cadence_seconds=cadence,
                alarm=alarm,
                alarm_start=format_instant(start) if alarm else "",
                alarm_rows=rows,
                skew_seconds=float(skews[slot]),
                flat_rows={
                    signal: rows
                    for signal, rows in zip(signals, repeats[slot], strict=True)
                    if rows
                },
                level=dict(zip(signals, level, strict=True)),
            )
        )
    return states


def worst_first(states: list[SensorState], silent_severity: Severity) -> list[SensorState]:
    """Return states sorted by severity, the highest first, then by sensor.

    `silent_severity`: the severity of a silent sensor.
    """
    silent_rank = severity_rank(silent_severity)

    def key(state: SensorState) -> tuple[int, bool, str]:
        rank = severity_rank(state.alarm or Severity.NONE)
        rank = max(rank, silent_rank if state.status == SILENT else 0)
        return -rank, state.status != SILENT, state.sensor_id

    return sorted(states, key=key)


_COLUMNS = [
    IntColumn.NEWEST_TIME,
    IntColumn.EPISODE_START_TIME,
    IntColumn.EPISODE_ROWS,
    IntColumn.SILENCE_LAST,
    IntColumn.SILENCE_LIMIT,
]
