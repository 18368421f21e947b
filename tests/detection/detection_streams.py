"""Random streams of readings that use every rule of the memory, and functions to score them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.scoring.detections import ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, score_readings
from tests.reading_builders import START_TIME

SECOND_MICROSECONDS = 1_000_000


@st.composite
def streams_with_irregular_rows(
    draw: st.DrawFn, *, max_rows: int = 60, sensor_count: int = 4
) -> Readings:
    """Generate normal, extreme, late and duplicate rows, with gaps and with missing values."""
    row_count = draw(st.integers(1, max_rows))
    time_steps = st.sampled_from(
        [SECOND_MICROSECONDS] * 6
        + [0, -SECOND_MICROSECONDS, 50 * SECOND_MICROSECONDS, 5_000 * SECOND_MICROSECONDS]
    )
    value = st.sampled_from([0.0, 0.1, -0.3, 0.7, 9.0, -60.0, 1e6, float("nan")])
    times, time = [], START_TIME
    for _ in range(row_count):
        time += draw(time_steps)
        times.append(time)
    sensor_ids = [f"s{draw(st.integers(0, sensor_count - 1))}" for _ in range(row_count)]
    values = [[draw(value) for _ in range(3)] for _ in range(row_count)]
    return build_readings(
        index=range(row_count), event_time=times, sensor_ids=sensor_ids, values=values, signals=3
    )


def score_in_batches(
    readings: Readings, detector: Detector, memory: Memory, batch_ends: Sequence[int] = ()
) -> list[Outcome]:
    """Score a stream in batches; `batch_ends`: for each batch, the position after its last row."""
    batch_edges = [0, *sorted(batch_ends), len(readings)]
    outcomes = []
    for batch_start, batch_stop in pairwise(batch_edges):
        batch = readings.take(slice(batch_start, batch_stop))
        batch = Readings(
            np.arange(batch_stop - batch_start, dtype=np.int64),
            batch.event_time,
            batch.sensor,
            batch.sensor_ids,
            batch.values,
            batch.context,
        )
        positions = np.arange(batch_start, batch_stop, dtype=np.int64)
        outcomes.append(score_readings(batch, [], detector, memory, positions=positions))
    return outcomes


def detection_bytes(outcomes: Sequence[Outcome]) -> tuple[bytes, ...]:
    """Return the detections of all outcomes; each column is one bytes object."""
    columns = (
        "raw_score",
        "anomaly_score",
        "is_anomaly",
        "p_value",
        "severity",
        "status",
        "episode",
        "episode_rows",
        "episode_time",
        "episode_peak",
        "incident",
    )
    return tuple(
        _joined_bytes([getattr(outcome.detections, name) for outcome in outcomes])
        for name in columns
    )


def ended_episodes(outcomes: Sequence[Outcome]) -> list[ClosedEpisode]:
    """Return the ended episodes with index 0, because the real index depends on the batches."""
    return [
        replace(closed_episode, index=0)
        for outcome in outcomes
        for closed_episode in outcome.closed
    ]


def _joined_bytes(column_parts: Sequence[NDArray[np.generic]]) -> bytes:
    return np.concatenate(column_parts).tobytes()
