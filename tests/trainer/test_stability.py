"""The rows of refits with other seeds: few rows in total, but as many per sensor as in training."""

import numpy as np
import pytest

from sensorwatch.common.rows.readings import Readings
from sensorwatch.trainer import stability
from sensorwatch.trainer.stability import rows_for_refits
from tests.reading_builders import some_readings


def interleaved_readings(steps: int, sensors: int) -> Readings:
    readings = some_readings(steps * sensors)
    return Readings(
        readings.index,
        readings.event_time,
        np.tile(np.arange(sensors, dtype=np.int32), steps),
        tuple(f"s{number}" for number in range(sensors)),
        readings.values,
        readings.context,
    )


@pytest.fixture(autouse=True)
def patched_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stability, "MAX_ROWS", 400)
    monkeypatch.setattr(stability, "ENOUGH_ROWS_OF_SENSOR", 100)


def test_few_rows_are_used_unchanged() -> None:
    readings = interleaved_readings(20, 20)

    assert rows_for_refits(readings) is readings


def test_with_many_sensors_some_are_used_with_all_of_their_rows() -> None:
    used_readings = rows_for_refits(interleaved_readings(50, 100))

    sensors, rows_of_sensor = np.unique(used_readings.sensor, return_counts=True)
    assert rows_of_sensor.tolist() == [50] * 8
    assert sensors[[0, -1]].tolist() == [0, 99]


def test_with_long_series_the_newest_rows_are_used() -> None:
    readings = interleaved_readings(1_000, 10)

    used_readings = rows_for_refits(readings)

    sensors, rows_of_sensor = np.unique(used_readings.sensor, return_counts=True)
    assert len(sensors) == 4
    assert rows_of_sensor.tolist() == [100] * 4
    assert used_readings.index.min() >= readings.index[-1] - 1_000
