"""Anomalous rows of one sensor in a row are one episode: where it begins, and when it ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode, severity_of
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Real, Whole
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
    ended, peaks = np.zeros((n, 4), dtype=np.int64), np.zeros(n)
    _walk(
        memory.reals,
        memory.wholes,
        recalled.slots,
        recalled.fresh,
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
        peaks,
    )
    over = np.flatnonzero(ended[:, 0])
    closed = [
        _closed(readings, recalled, positions, *found)
        for found in zip(
            over.tolist(),
            ended[over].tolist(),
            peaks[over].tolist(),
            severity_of(peaks[over]).tolist(),
            strict=True,
        )
    ]
    return Episodes(start, rows, time, peak, closed)


def _closed(
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
def _walk(  # type: ignore[no-untyped-def]
    reals, wholes, slots, fresh, apart, gaps, event_time, positions, is_anomaly, full_score,
    start, rows, time, peak, ended, peaks,
):  # fmt: skip
    for row in range(len(slots)):
        real, whole = reals[slots[row]], wholes[slots[row]]
        if apart[row] and is_anomaly[row]:
            start[row], rows[row], time[row] = positions[row], 1, event_time[row]
            peak[row] = full_score[row]
        if apart[row]:
            continue
        over = fresh[row] >= 0 or gaps[row] or not is_anomaly[row]
        if over and whole[Whole.EPISODE_ROWS] > 0:
            ended[row, 0] = whole[Whole.EPISODE_ROWS]
            ended[row, 1] = whole[Whole.EPISODE]
            ended[row, 2] = whole[Whole.EPISODE_TIME]
            ended[row, 3] = whole[Whole.EPISODE_LAST]
            peaks[row] = real[Real.PEAK]
            whole[Whole.EPISODE_ROWS] = 0
        if is_anomaly[row]:
            if whole[Whole.EPISODE_ROWS] == 0:
                whole[Whole.EPISODE] = positions[row]
                whole[Whole.EPISODE_TIME] = event_time[row]
                real[Real.PEAK] = 0.0
            whole[Whole.EPISODE_ROWS] += 1
            whole[Whole.EPISODE_LAST] = event_time[row]
            real[Real.PEAK] = max(real[Real.PEAK], full_score[row])
            peak[row] = real[Real.PEAK]
            start[row] = whole[Whole.EPISODE]
            rows[row] = whole[Whole.EPISODE_ROWS]
            time[row] = whole[Whole.EPISODE_TIME]
