"""Anomalous rows of one sensor in a row are one episode: where it begins, and when it ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode, severity_numbers
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.recall import Recalled
from sensorwatch.common.scoring.status import STATUSES, Status

_LATE = STATUSES.index(Status.LATE)


@dataclass(frozen=True, slots=True)
class Episodes:
    """Each row's episode, and the episodes that ended."""

    start: NDArray[np.int64]
    """(n,) see `Detections.episode`."""
    rows: NDArray[np.int64]
    time: NDArray[np.int64]
    peak: NDArray[np.float64]
    """(n,) highest full score of the episode so far, this row's included; 0 of a normal row."""
    closed: list[ClosedEpisode]
    """Rising by index."""


def episodes(
    readings: Readings,
    recalled: Recalled,
    positions: NDArray[np.int64],
    is_anomaly: NDArray[np.bool_],
    full_score: NDArray[np.float64],
    memory: Memory,
) -> Episodes:
    """Open, extend and close episodes row after row, in the memory and in what is returned.

    `positions` (n,): of the readings in their stream. `full_score` (n,): each row's anomaly score
    as if it were its episode's first. An episode ends with the first normal row of
    its sensor, with the first row after a gap, or when its sensor is evicted. A late or duplicate
    row is an episode of its own, without an end.
    """
    n = len(readings)
    start, time = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    rows = np.zeros(n, dtype=np.int64)
    peak = np.zeros(n)
    ended, ended_peaks = np.zeros((n, 4), dtype=np.int64), np.zeros(n)
    _track_episodes(
        memory.floats,
        memory.ints,
        recalled.slots,
        recalled.new_sensor_level,
        recalled.status >= _LATE,
        recalled.gap,
        readings.event_time,
        positions,
        is_anomaly,
        full_score,
        start,
        rows,
        time,
        peak,
        ended,
        ended_peaks,
    )
    episode_ends = np.flatnonzero(ended[:, 0])
    closed = [
        _closed_episode(readings, recalled, positions, *ended_episode)
        for ended_episode in zip(
            episode_ends.tolist(),
            ended[episode_ends].tolist(),
            ended_peaks[episode_ends].tolist(),
            severity_numbers(ended_peaks[episode_ends]).tolist(),
            strict=True,
        )
    ]
    return Episodes(start, rows, time, peak, closed)


def _closed_episode(
    readings: Readings,
    recalled: Recalled,
    positions: NDArray[np.int64],
    row: int,
    ended: list[int],
    peak: float,
    severity: int,
) -> ClosedEpisode:
    rows, start, start_time, last_time = ended
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
def _track_episodes(  # type: ignore[no-untyped-def]
    floats, ints, slots, new_sensor_level, out_of_order, gaps, event_time, positions, is_anomaly, full_score,
    start, rows, time, peak, ended, ended_peaks,
):  # fmt: skip
    for row in range(len(slots)):
        float_row, int_row = floats[slots[row]], ints[slots[row]]
        if out_of_order[row] and is_anomaly[row]:
            start[row], rows[row], time[row] = positions[row], 1, event_time[row]
            peak[row] = full_score[row]
        if out_of_order[row]:
            continue
        episode_ends = new_sensor_level[row] >= 0 or gaps[row] or not is_anomaly[row]
        if episode_ends and int_row[IntColumn.EPISODE_ROWS] > 0:
            ended[row, 0] = int_row[IntColumn.EPISODE_ROWS]
            ended[row, 1] = int_row[IntColumn.EPISODE_START]
            ended[row, 2] = int_row[IntColumn.EPISODE_START_TIME]
            ended[row, 3] = int_row[IntColumn.EPISODE_LAST_TIME]
            ended_peaks[row] = float_row[FloatColumn.EPISODE_PEAK_SCORE]
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
            rows[row] = int_row[IntColumn.EPISODE_ROWS]
            time[row] = int_row[IntColumn.EPISODE_START_TIME]
