"""Simulated JSON rows of about 100 bytes; 1 % of them are invalid and 1 % are outliers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.simulation.sensors import Fleet, fleet, noise_scale

START = 1_577_836_800_000_000
"""2020-01-01T00:00:00Z in microseconds. So even 50 million rows are in the past."""
BAD_SHARE, OUTLIER_SHARE = 0.01, 0.01
OUTLIER_SIGMAS = 10.0
"""Offset of the first two signals of an outlier, in standard deviations of the noise."""
OUTLIER_STEPS = 8
"""Number of consecutive outlier rows of a sensor, as in a real fault."""
STORM_SIGMAS = 30.0
"""Offset of the first two signals in a storm, in standard deviations of the noise.

Its sign is random in each row, so that detectors do not adapt to the offset.
"""
ROW_PATTERN = b'{"timestamp":"%b","sensor_id":"sensor-%06d","x1":%.4f,"x2":%.4f,"x3":%.4f}'
_BAD_ROW_PATTERNS = (
    b'{"timestamp":"%b","sensor_id":"sensor-%06d","x1":%.4f,"x2":%.4f,"x3":%.4f',
    b'{"timestamp":"%b","sensor_id":"sensor-%06d","x1":%.4f,"x2":%.4f,"x4":%.4f}',
    b'{"timestamp":"%b","sensor_id":"sensor-%06d","x1":"%.4f","x2":%.4f,"x3":%.4f}',
    b'{"timestamp":"%b","sensor_id":"sensor-%06d","x1":9e9%.4f,"x2":%.4f,"x3":%.4f}',
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Parameters that determine all rows of a stream, in which the sensors take turns.

    The level of a sensor is constant, so a model that was trained on earlier rows is valid for
    later rows.
    """

    sensors: int
    rows: int
    seed: int = 5
    step_seconds: float = 10.0
    first_step: int = 0
    """Number of the first step; the training rows have lower step numbers."""
    is_clean: bool = False
    """True: no invalid rows and no outliers, as for training."""
    storm_share: float = 0.0
    """Share of the rows that are in storms. A storm is OUTLIER_STEPS consecutive outlier rows of a
    sensor."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """n consecutive rows of a stream."""

    event_time: NDArray[np.int64]
    """Shape (n,). Time of each row in microseconds since 1970 (UTC)."""
    sensor: NDArray[np.int64]
    values: NDArray[np.float64]
    """Shape (n, signals)."""
    is_bad: NDArray[np.bool_]
    is_outlier: NDArray[np.bool_]


def chunks(stream: Stream) -> Iterator[Chunk]:
    """Yield the stream's rows in order."""
    simulated_fleet = fleet(stream.seed, stream.sensors)
    simulated_fleet = replace(simulated_fleet, amplitude=np.zeros_like(simulated_fleet.amplitude))
    remaining, block = stream.rows, stream.first_step // simulated_fleet.block_steps
    while remaining > 0:
        chunk = _simulate_span(stream, simulated_fleet, block)
        yield _first_rows(chunk, remaining)
        remaining -= len(chunk.sensor)
        block += 1


def payloads(chunk: Chunk, padding: int = 0) -> list[bytes]:
    """Return each row as JSON; `padding` is the length of an additional text field, in bytes."""
    times = {time: format_instant(time).encode() for time in np.unique(chunk.event_time).tolist()}
    columns = zip(
        chunk.event_time.tolist(),
        chunk.sensor.tolist(),
        *chunk.values.T.tolist(),
        chunk.is_bad.tolist(),
        strict=True,
    )
    padding_field = b',"more":"' + b"x" * padding + b'"}'
    encoded_rows = []
    for row_number, (time, sensor, x1, x2, x3, is_bad) in enumerate(columns):
        pattern = _BAD_ROW_PATTERNS[row_number % len(_BAD_ROW_PATTERNS)] if is_bad else ROW_PATTERN
        row = pattern % (times[time], sensor, x1, x2, x3)
        encoded_rows.append(row[:-1] + padding_field if padding and not is_bad else row)
    return encoded_rows


def _simulate_span(stream: Stream, simulated_fleet: Fleet, block: int) -> Chunk:
    interval = round(stream.step_seconds * 1_000_000)
    values = simulated_fleet.measure(block, start=START, interval=interval)
    steps, sensors = values.shape[:2]
    step = np.arange(block * steps, (block + 1) * steps, dtype=np.int64)
    rng = np.random.default_rng([stream.seed, block, 7])
    draws = rng.random((1 + (steps - 1) // OUTLIER_STEPS, sensors))
    is_faulty = draws < (0.0 if stream.is_clean else OUTLIER_SHARE)
    is_outlier = np.repeat(is_faulty, OUTLIER_STEPS, axis=0)[:steps].ravel()
    rows = values.reshape(steps * sensors, -1)
    rows[is_outlier, :2] += OUTLIER_SIGMAS * noise_scale()[:2]
    _add_storms(rows, stream, block)
    return Chunk(
        np.repeat(START + step * interval, sensors),
        np.tile(np.arange(sensors, dtype=np.int64), steps),
        rows,
        rng.random(steps * sensors) < (0.0 if stream.is_clean else BAD_SHARE),
        is_outlier,
    )


def _add_storms(rows: NDArray[np.float64], stream: Stream, block: int) -> None:
    """Move the rows in storms away from their level; `rows` (n, signals) is changed in place."""
    rng = np.random.default_rng([stream.seed, block, 8])
    steps = len(rows) // stream.sensors
    draws = rng.random((1 + (steps - 1) // OUTLIER_STEPS, stream.sensors))
    in_storm = np.repeat(draws < stream.storm_share, OUTLIER_STEPS, axis=0)[:steps].ravel()
    signs = rng.choice((-1.0, 1.0), size=(int(in_storm.sum()), 2))
    rows[in_storm, :2] += signs * STORM_SIGMAS * noise_scale()[:2]


def _first_rows(chunk: Chunk, rows: int) -> Chunk:
    return Chunk(
        chunk.event_time[:rows],
        chunk.sensor[:rows],
        chunk.values[:rows],
        chunk.is_bad[:rows],
        chunk.is_outlier[:rows],
    )
