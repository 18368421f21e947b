"""Streams of readings with everything that memory has a rule for, and ways to score them."""

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
from tests.reading_builders import START

SECOND = 1_000_000


@st.composite
def untidy_streams(draw: st.DrawFn, *, max_rows: int = 60, sensors: int = 4) -> Readings:
    """Rows of several sensors: late, duplicate, after gaps, stuck, missing, wild and normal."""
    count = draw(st.integers(1, max_rows))
    steps = st.sampled_from([SECOND] * 6 + [0, -SECOND, 50 * SECOND, 5_000 * SECOND])
    value = st.sampled_from([0.0, 0.1, -0.3, 0.7, 9.0, -60.0, 1e6, float("nan")])
    times, time = [], START
    for _ in range(count):
        time += draw(steps)
        times.append(time)
    names = [f"s{draw(st.integers(0, sensors - 1))}" for _ in range(count)]
    values = [[draw(value) for _ in range(3)] for _ in range(count)]
    return build_readings(
        index=range(count), event_time=times, sensor_ids=names, values=values, signals=3
    )


def score_in_batches(
    readings: Readings, detector: Detector, memory: Memory, cuts: Sequence[int] = ()
) -> list[Outcome]:
    """Score a stream in pieces that end at `cuts`."""
    batch_edges = [0, *sorted(cuts), len(readings)]
    outcomes = []
    for start, stop in pairwise(batch_edges):
        batch = readings.take(slice(start, stop))
        batch = Readings(
            np.arange(stop - start, dtype=np.int64),
            batch.event_time,
            batch.sensor,
            batch.sensor_ids,
            batch.values,
            batch.context,
        )
        positions = np.arange(start, stop, dtype=np.int64)
        outcomes.append(score_readings(batch, [], detector, memory, positions=positions))
    return outcomes


def detection_bytes(outcomes: Sequence[Outcome]) -> tuple[bytes, ...]:
    """Return every number of the detections, as bytes."""
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
    )
    return tuple(
        _joined([getattr(outcome.detections, name) for outcome in outcomes]) for name in columns
    )


def ended_episodes(outcomes: Sequence[Outcome]) -> list[ClosedEpisode]:
    """Return the episodes that ended, their index left out of the comparison."""
    return [replace(closed, index=0) for outcome in outcomes for closed in outcome.closed]


def _joined(arrays: Sequence[NDArray[np.generic]]) -> bytes:
    return np.concatenate(arrays).tobytes()
