"""Builder of a small trained model that uses the memory of sensors."""

from functools import cache

import numpy as np

from sensorwatch.common.registry.candidate import Candidate, DataSource
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.training import train
from tests.reading_builders import START_TIME, a_schema

TRAINED_SENSORS = 8
"""The number of sensors in the training data: sensor-00, sensor-01 and so on."""
ROW_INTERVAL = 10_000_000
"""The time between two consecutive rows of a sensor, in microseconds."""
MIN_ROWS = 20


@cache
def a_forecast_candidate(*, seed: int = 7, rows: int = 1_600, trees: int = 10) -> Candidate:
    """Return a small model with the default feature plan that is trained on Gaussian noise."""
    random = np.random.default_rng(seed)
    row_number = np.arange(rows, dtype=np.int64)
    readings = Readings(
        row_number,
        START_TIME
        - ROW_INTERVAL * (rows // TRAINED_SENSORS)
        + ROW_INTERVAL * (row_number // TRAINED_SENSORS),
        (row_number % TRAINED_SENSORS).astype(np.int32),
        tuple(f"sensor-{sensor:02d}" for sensor in range(TRAINED_SENSORS)),
        random.normal(size=(rows, 3)),
        np.empty((rows, 0)),
    )
    source = DataSource(
        uri="a_forecast_candidate",
        sha256="0" * 64,
        first_time=int(readings.event_time[0]),
        last_time=int(readings.event_time[-1]),
        rows=rows,
    )
    trainer_settings = TrainerSettings(trees=trees, max_samples=64, min_rows=MIN_ROWS, seed=seed)
    return train(readings, a_schema(), source, trainer_settings)
