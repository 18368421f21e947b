"""The episodes of a stream: consecutive anomalous rows of one sensor."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode, severity_numbers
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
    closed: list[ClosedEpisode]
    """The episodes that ended, in ascending order of `ClosedEpisode.index`."""


def track_episodes(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    is_anomaly: NDArray[np.bool_],
    full_score: NDArray[np.float64],
    memory: Memory,
) -> Episodes:
    """Return the episodes of rows; open, extend and close episodes in `memory`.

    An episode ends with its sensor's first normal row, with the first row after a gap, or when the
    sensor is evicted. An anomalous row that is late or a duplicate is a separate episode, whose end
    is not reported.

    `positions`: shape (n,), positions of the readings in their stream. `full_score`: shape (n,),
    anomaly score that each row would have as the first row of an episode.
    """
    n = len(readings)
    rows = _Rows(
        slots=recalled.slots,
        new_sensor_level=recalled.new_sensor_level,
        is_out_of_order=recalled.status >= _LATE,
        gap=recalled.gap,
        event_time=readings.event_time,
        positions=positions,
        is_anomaly=is_anomaly,
        full_score=full_score,
    )
    outputs = _Outputs(
        start=np.full(n, -1, dtype=np.int64),
        rows=np.zeros(n, dtype=np.int64),
        time=np.zeros(n, dtype=np.int64),
        peak=np.zeros(n),
        ended_episode=np.zeros((n, 4), dtype=np.int64),
        ended_peak=np.zeros(n),
    )
    _track_rows(rows, memory.floats, memory.ints, outputs)
    closed = _closed_episodes(readings, recalled, positions, outputs)
    return Episodes(outputs.start, outputs.rows, outputs.time, outputs.peak, closed)


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


class _Outputs(NamedTuple):
    """The kernel's output for n rows; see `Episodes` for the first four arrays."""

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    time: NDArray[np.int64]
    peak: NDArray[np.float64]
    ended_episode: NDArray[np.int64]
    """Shape (n, 4). The episode that the row ended: number of rows, start, start time, last time.

    If the row ended no episode, all four values are 0.
    """
    ended_peak: NDArray[np.float64]
    """Shape (n,). Highest full score of the episode that the row ended."""


def _closed_episodes(
    readings: Readings, recalled: RecalledRows, positions: NDArray[np.int64], outputs: _Outputs
) -> list[ClosedEpisode]:
    rows = np.flatnonzero(outputs.ended_episode[:, 0])
    peaks = outputs.ended_peak[rows]
    return [
        _closed_episode(readings, recalled, positions, *episode)
        for episode in zip(
            rows.tolist(),
            outputs.ended_episode[rows].tolist(),
            peaks.tolist(),
            severity_numbers(peaks).tolist(),
            strict=True,
        )
    ]


def _closed_episode(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    row: int,
    ended_episode: list[int],
    peak: float,
    severity: int,
) -> ClosedEpisode:
    rows, start, start_time, last_time = ended_episode
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
        severity=SEVERITIES[severity],
    )


@kernel
def _track_rows(rows, floats, ints, outputs):  # type: ignore[no-untyped-def]
    slots, new_sensor_level, is_out_of_order, gap, event_time, positions, is_anomaly, full_score = (
        rows
    )
    start, episode_rows, time, peak, ended_episode, ended_peak = outputs
    for row in range(len(slots)):
        float_row, int_row = floats[slots[row]], ints[slots[row]]
        if is_out_of_order[row] and is_anomaly[row]:
            start[row], episode_rows[row], time[row] = positions[row], 1, event_time[row]
            peak[row] = full_score[row]
        if is_out_of_order[row]:
            continue
        episode_ends = new_sensor_level[row] >= 0 or gap[row] or not is_anomaly[row]
        if episode_ends and int_row[IntColumn.EPISODE_ROWS] > 0:
            ended_episode[row, 0] = int_row[IntColumn.EPISODE_ROWS]
            ended_episode[row, 1] = int_row[IntColumn.EPISODE_START]
            ended_episode[row, 2] = int_row[IntColumn.EPISODE_START_TIME]
            ended_episode[row, 3] = int_row[IntColumn.EPISODE_LAST_TIME]
            ended_peak[row] = float_row[FloatColumn.EPISODE_PEAK_SCORE]
            int_row[IntColumn.EPISODE_ROWS] = 0
        if is_anomaly[row]:
            if int_row[IntColumn.EPISODE_ROWS] == 0:
                int_row[IntColumn.EPISODE_START] = positions[row]
                int_row[IntColumn.EPISODE_START_TIME] = event_time[row]
                float_row[FloatColumn.EPISODE_PEAK_SCORE] = 0.0
            int_row[IntColumn.EPISODE_ROWS] += 1
            int_row[IntColumn.EPISODE_LAST_TIME] = event_time[row]
            float_row[FloatColumn.EPISODE_PEAK_SCORE] = max(
                float_row[FloatColumn.EPISODE_PEAK_SCORE], full_score[row]
            )
            peak[row] = float_row[FloatColumn.EPISODE_PEAK_SCORE]
            start[row] = int_row[IntColumn.EPISODE_START]
            episode_rows[row] = int_row[IntColumn.EPISODE_ROWS]
            time[row] = int_row[IntColumn.EPISODE_START_TIME]
