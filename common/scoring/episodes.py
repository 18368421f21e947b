"""The episodes of a stream: consecutive anomalous rows of one sensor."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.alarm_rates import (
    AlarmRates,
    false_episodes_per_day,
    level_episodes_per_day,
    severity_of,
)
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import FIRST_SEVERITY, SEVERITIES, ClosedEpisode
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.status import STATUSES, Status

_LATE = STATUSES.index(Status.LATE)


@dataclass(frozen=True, slots=True)
class Episodes:
    """The episode of each of n rows, and the episodes that ended."""

    start: NDArray[np.int64]
    """Shape (n,). Stream position of the first row of the row's episode; see
    `Detections.episode`."""
    rows: NDArray[np.int64]
    """Shape (n,). Number of rows of the row's episode so far; see `Detections.episode_rows`."""
    time: NDArray[np.int64]
    """Shape (n,). Event time of the first row of the row's episode; see
    `Detections.episode_time`."""
    peak: NDArray[np.float64]
    """Shape (n,). Highest full score of the row's episode so far; see `Detections.episode_peak`."""
    rate: NDArray[np.float64]
    """Shape (n,). See `Detections.episode_rate`."""
    severity: NDArray[np.int8]
    """Shape (n,). See `Detections.severity`."""
    previous_severity: NDArray[np.int8]
    """Shape (n,). See `Detections.previous_severity`."""
    closed: list[ClosedEpisode]
    """The episodes that ended, in ascending order of `ClosedEpisode.index`."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The scores of n rows; each array has shape (n,)."""

    is_anomaly: NDArray[np.bool_]
    raw_score: NDArray[np.float64]
    full_score: NDArray[np.float64]
    """Anomaly score that the row would have as the first row of an episode."""
    guard_score: NDArray[np.float64]
    """Score of the level guard, in nats."""


def track_episodes(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    scored: ScoredRows,
    alarm_rates: AlarmRates,
    memory: Memory,
) -> Episodes:
    """Return the episodes of rows; open, extend and close episodes in `memory`.

    An episode ends with its sensor's first normal row, with the first row after a gap, or when the
    sensor is evicted. An anomalous row that is late or a duplicate is a separate episode, whose end
    is not reported.

    `positions`: shape (n,), positions of the readings in their stream.
    """
    n = len(readings)
    rows = _Rows(
        slots=recalled.slots,
        new_sensor_level=recalled.new_sensor_level,
        is_out_of_order=recalled.status >= _LATE,
        gap=recalled.gap,
        event_time=readings.event_time,
        positions=positions,
        is_anomaly=scored.is_anomaly,
        full_score=scored.full_score,
        raw_score=scored.raw_score,
        guard_score=scored.guard_score,
        cadence=np.where(recalled.cadence > 0.0, recalled.cadence, alarm_rates.cadence),
    )
    outputs = _Outputs(
        start=np.full(n, -1, dtype=np.int64),
        rows=np.zeros(n, dtype=np.int64),
        time=np.zeros(n, dtype=np.int64),
        peak=np.zeros(n),
        rate=np.zeros(n),
        severity=np.zeros(n, dtype=np.int8),
        previous_severity=np.zeros(n, dtype=np.int8),
        ended_episode=np.zeros((n, 4), dtype=np.int64),
        ended_peak=np.zeros((n, 2)),
        ended_severity=np.zeros(n, dtype=np.int8),
    )
    _track_rows(rows, alarm_rates.tail, alarm_rates.budgets, memory.floats, memory.ints, outputs)
    closed = _closed_episodes(readings, recalled, positions, outputs)
    return Episodes(
        outputs.start,
        outputs.rows,
        outputs.time,
        outputs.peak,
        outputs.rate,
        outputs.severity,
        outputs.previous_severity,
        closed,
    )


class _Rows(NamedTuple):
    """The kernel's input of n rows; each array has shape (n,)."""

    slots: NDArray[np.int64]
    """Row of the sensor in the memory's tables."""
    new_sensor_level: NDArray[np.int32]
    """0 or more if the row's sensor is new in the memory; see `SlotAssignment`."""
    is_out_of_order: NDArray[np.bool_]
    """Whether the row is late or a duplicate."""
    gap: NDArray[np.bool_]
    """Whether the row is its sensor's first row after a gap."""
    event_time: NDArray[np.int64]
    """Event time in microseconds UTC."""
    positions: NDArray[np.int64]
    """Position of the row in the stream."""
    is_anomaly: NDArray[np.bool_]
    full_score: NDArray[np.float64]
    """Anomaly score that the row would have as the first row of an episode."""
    raw_score: NDArray[np.float64]
    guard_score: NDArray[np.float64]
    """Score of the level guard, in nats."""
    cadence: NDArray[np.float64]
    """Typical interval between two rows of the row's sensor, in microseconds."""


class _Outputs(NamedTuple):
    """The kernel's output for n rows; see `Episodes` for the first seven arrays."""

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    time: NDArray[np.int64]
    peak: NDArray[np.float64]
    rate: NDArray[np.float64]
    severity: NDArray[np.int8]
    previous_severity: NDArray[np.int8]
    ended_episode: NDArray[np.int64]
    """Shape (n, 4). The episode that the row ended: number of rows, start, start time, last time.

    If the row ended no episode, all four values are 0.
    """
    ended_peak: NDArray[np.float64]
    """Shape (n, 2). Highest full score of the episode that the row ended, and its rate."""
    ended_severity: NDArray[np.int8]
    """Shape (n,). Severity of the episode that the row ended."""


def _closed_episodes(
    readings: Readings, recalled: RecalledRows, positions: NDArray[np.int64], outputs: _Outputs
) -> list[ClosedEpisode]:
    rows = np.flatnonzero(outputs.ended_episode[:, 0])
    return [
        _closed_episode(readings, recalled, positions, *episode)
        for episode in zip(
            rows.tolist(),
            outputs.ended_episode[rows].tolist(),
            outputs.ended_peak[rows].tolist(),
            outputs.ended_severity[rows].tolist(),
            strict=True,
        )
    ]


def _closed_episode(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    row: int,
    ended_episode: list[int],
    ended_peak: list[float],
    severity: int,
) -> ClosedEpisode:
    rows, start, start_time, last_time = ended_episode
    peak, rate = ended_peak
    sensor_id = recalled.evicted.get(row) or readings.sensor_ids[readings.sensor[row]]
    return ClosedEpisode(
        index=int(readings.index[row]),
        position=int(positions[row]),
        closed_time=int(readings.event_time[row]),
        sensor_id=sensor_id,
        start=start,
        start_time=start_time,
        last_time=last_time,
        rows=rows,
        peak=peak,
        rate=rate,
        severity=SEVERITIES[severity],
    )


@kernel
def _track_rows(rows, tail, budgets, floats, ints, outputs):  # type: ignore[no-untyped-def]
    (
        slots, new_sensor_level, is_out_of_order, gap, event_time, positions, is_anomaly,
        full_score, raw_score, guard_score, cadence,
    ) = rows  # fmt: skip
    (
        start, episode_rows, time, peak, rate, severity, previous_severity,
        ended_episode, ended_peak, ended_severity,
    ) = outputs  # fmt: skip
    for row in range(len(slots)):
        float_row, int_row = floats[slots[row]], ints[slots[row]]
        if is_anomaly[row]:
            row_rate = false_episodes_per_day(tail, cadence[row], raw_score[row])
            if guard_score[row] > 0.0:
                row_rate = min(row_rate, level_episodes_per_day(cadence[row], guard_score[row]))
        if is_out_of_order[row]:
            if is_anomaly[row]:
                start[row], episode_rows[row], time[row] = positions[row], 1, event_time[row]
                peak[row], rate[row] = full_score[row], row_rate
                severity[row] = FIRST_SEVERITY + severity_of(budgets, row_rate)
            continue
        episode_ends = new_sensor_level[row] >= 0 or gap[row] or not is_anomaly[row]
        if episode_ends and int_row[IntColumn.EPISODE_ROWS] > 0:
            ended_episode[row, 0] = int_row[IntColumn.EPISODE_ROWS]
            ended_episode[row, 1] = int_row[IntColumn.EPISODE_START]
            ended_episode[row, 2] = int_row[IntColumn.EPISODE_START_TIME]
            ended_episode[row, 3] = int_row[IntColumn.EPISODE_LAST_TIME]
            ended_peak[row, 0] = float_row[FloatColumn.EPISODE_PEAK_SCORE]
            ended_peak[row, 1] = float_row[FloatColumn.EPISODE_RATE]
            ended_severity[row] = FIRST_SEVERITY + severity_of(
                budgets, float_row[FloatColumn.EPISODE_RATE]
            )
            int_row[IntColumn.EPISODE_ROWS] = 0
        if is_anomaly[row]:
            if int_row[IntColumn.EPISODE_ROWS] == 0:
                int_row[IntColumn.EPISODE_START] = positions[row]
                int_row[IntColumn.EPISODE_START_TIME] = event_time[row]
                float_row[FloatColumn.EPISODE_PEAK_SCORE] = 0.0
                float_row[FloatColumn.EPISODE_RATE] = row_rate
            else:
                previous_severity[row] = FIRST_SEVERITY + severity_of(
                    budgets, float_row[FloatColumn.EPISODE_RATE]
                )
            int_row[IntColumn.EPISODE_ROWS] += 1
            int_row[IntColumn.EPISODE_LAST_TIME] = event_time[row]
            float_row[FloatColumn.EPISODE_PEAK_SCORE] = max(
                float_row[FloatColumn.EPISODE_PEAK_SCORE], full_score[row]
            )
            float_row[FloatColumn.EPISODE_RATE] = min(float_row[FloatColumn.EPISODE_RATE], row_rate)
            peak[row] = float_row[FloatColumn.EPISODE_PEAK_SCORE]
            rate[row] = float_row[FloatColumn.EPISODE_RATE]
            severity[row] = FIRST_SEVERITY + severity_of(budgets, rate[row])
            start[row] = int_row[IntColumn.EPISODE_START]
            episode_rows[row] = int_row[IntColumn.EPISODE_ROWS]
            time[row] = int_row[IntColumn.EPISODE_START_TIME]
