"""Functions that build readings, datasets, candidates and files for tests of the trainer."""

import csv
from functools import cache
from pathlib import Path

import numpy as np

from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.trainer.dataset import Dataset
from sensorwatch.trainer.training import train
from tests.reading_builders import a_schema

TRAINER_SETTINGS = TrainerSettings(trees=20, target_alert_rate=0.01)
PLAIN_SETTINGS = TRAINER_SETTINGS.model_copy(update={"features": FeatureKind.PLAIN})


@cache
def simulated_readings(rows: int = 4_000, *, seed: int = 1, interval: float = 5.0) -> Readings:
    """Return healthy readings of 10 simulated sensors; each has a row every `interval` seconds."""
    simulation = Simulation(
        sensors=10, rows=rows, seed=seed, interval_seconds=interval, chunk_rows=rows
    )
    (chunk,) = simulate(simulation)
    return Readings(
        np.arange(rows, dtype=np.int64),
        chunk.event_time,
        chunk.sensor,
        chunk.sensor_ids,
        chunk.values,
        np.empty((rows, 0)),
    )


def a_dataset(readings: Readings | None = None) -> Dataset:
    """Return a dataset of readings, by default `simulated_readings()`."""
    rows = simulated_readings() if readings is None else readings
    return Dataset("simulated", "ab" * 32, rows, [])


@cache
def a_trained_candidate(trainer_settings: TrainerSettings = TRAINER_SETTINGS) -> Candidate:
    """Return a candidate trained on `a_dataset()`."""
    dataset = a_dataset()
    return train(dataset.readings, a_schema(), dataset.source, trainer_settings)


def write_rows(path: Path, readings: Readings, *, x1_texts: dict[int, str] | None = None) -> Path:
    """Write readings as a CSV file.

    `x1_texts` maps the numbers of some rows to texts that replace the x1 cells of these rows.
    """
    cells_by_row = []
    for row in range(len(readings)):
        x1, x2, x3 = readings.values[row].tolist()
        sensor = readings.sensor_ids[readings.sensor[row]]
        time = format_instant(int(readings.event_time[row]))
        cells_by_row.append([time, sensor, (x1_texts or {}).get(row, x1), x2, x3])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "sensor_id", "x1", "x2", "x3"])
        writer.writerows(cells_by_row)
    return path
