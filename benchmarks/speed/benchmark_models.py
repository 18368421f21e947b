"""Train the models of the speed benchmarks, and write training rows for other frameworks."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.json_payloads import Chunk, Stream, chunks
from sensorwatch.common.rows.instants import format_instant

ROOT = Path(__file__).parents[2]
TRAINING_ROWS = 200_000
WEEK_SECONDS = 7 * 86_400.0
STEPS_PER_SENSOR = 10
"""Number of training rows from which on the model has a level for a sensor."""
_MIN_ROWS_SETTING = {"SENSORWATCH__TRAINER__MIN_ROWS": str(STEPS_PER_SENSOR)}
HOUR, DAY = 3_600_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class TrainedModels:
    """A registry of trained models, and the training rows of these models."""

    registry: Path
    training: Path
    """A .npy file of training rows (n, 5), for other programs that fit their own forest."""
    sensors: int
    steps: int
    """Number of training rows of each sensor."""

    def stream(self, rows: int) -> Stream:
        """Return a stream of `rows` rows that follow the training rows in time."""
        return Stream(
            self.sensors, rows, step_seconds=WEEK_SECONDS / self.steps, first_step=self.steps
        )


def train(folder: Path, *, sensors: int, features: tuple[str, ...] = ("plain",)) -> TrainedModels:
    """Train one model for each kind of features on clean rows. The model's name is the kind."""
    steps = max(TRAINING_ROWS // sensors, STEPS_PER_SENSOR)
    # The training rows cover one week, so that every hour of every weekday occurs.
    step_seconds = WEEK_SECONDS / steps
    stream = Stream(sensors, steps * sensors, step_seconds=step_seconds, is_clean=True)
    data, training = folder / f"training-{sensors}.csv", folder / f"training-{sensors}.npy"
    row_chunks = list(chunks(stream))
    with data.open("w", encoding="utf-8") as file:
        file.write("timestamp,sensor_id,x1,x2,x3\n")
        for row_chunk in row_chunks:
            file.writelines(_csv_lines(row_chunk))
    np.save(
        training,
        np.concatenate([_feature_matrix(row_chunk) for row_chunk in row_chunks])[:TRAINING_ROWS],
    )
    registry = folder / f"registry-{sensors}"
    for kind in features:
        _train(data, registry, kind)
    data.unlink()
    return TrainedModels(registry, training, sensors, steps)


def _train(data: Path, registry: Path, kind: str) -> None:
    command = [sys.executable, "-m", "sensorwatch.trainer", "train", "--data", str(data)]
    options = ["--features", kind, "--name", kind, "--registry", str(registry)]
    completed = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, **_MIN_ROWS_SETTING},
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise RuntimeError(f"training failed: {completed.stdout}{completed.stderr}")


def _csv_lines(row_chunk: Chunk) -> list[str]:
    times = {time: format_instant(time) for time in np.unique(row_chunk.event_time).tolist()}
    columns = zip(
        row_chunk.event_time.tolist(),
        row_chunk.sensor.tolist(),
        *row_chunk.values.T.tolist(),
        strict=True,
    )
    return [
        f"{times[time]},sensor-{sensor:06d},{x1:.4f},{x2:.4f},{x3:.4f}\n"
        for time, sensor, x1, x2, x3 in columns
    ]


def _feature_matrix(row_chunk: Chunk) -> NDArray[np.float64]:
    hour = row_chunk.event_time % DAY // HOUR
    # 1970-01-01 was a Thursday; Monday is 0.
    day = (row_chunk.event_time // DAY + 3) % 7
    return np.column_stack((row_chunk.values, hour, day)).astype(np.float64)
