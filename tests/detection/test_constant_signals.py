"""Signals that never changed in training raise no alarm before a change and after its end."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.training import fit_unregistered
from tests.detection.detection_streams import score_in_batches
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME

SCHEMA = schema_from_plain({"key": {"field": "id"}, "signals": [{"name": "temp"}, {"name": "hum"}]})
CONSTANT_VALUES = (21.5, 40.0)
TRAIN_ROWS = 600
ROWS_UNTIL_QUIET = 20


def readings_of(values: NDArray[np.float64]) -> Readings:
    rows = len(values)
    return build_readings(
        index=range(rows),
        event_time=[START_TIME + row * MINUTE_MICROSECONDS for row in range(rows)],
        sensor_ids=["s0"] * rows,
        values=values.tolist(),
        signals=2,
    )


def constant_rows(rows: int, *, temperature_noise: float) -> NDArray[np.float64]:
    values = np.tile(CONSTANT_VALUES, (rows, 1))
    values[:, 0] += temperature_noise * np.random.default_rng(rows).normal(size=rows)
    return values


@cache
def a_detector_of_constants(temperature_noise: float) -> Detector:
    settings = TrainerSettings(trees=20, max_samples=64, min_rows=30)
    values = constant_rows(TRAIN_ROWS, temperature_noise=temperature_noise)
    return fit_unregistered(readings_of(values), SCHEMA, settings)


def alarms(values: NDArray[np.float64], temperature_noise: float) -> NDArray[np.bool_]:
    detector = a_detector_of_constants(temperature_noise)
    (outcome,) = score_in_batches(readings_of(values), detector, detector.empty_memory())
    return outcome.detections.is_anomaly


def test_constant_rows_raise_no_alarm_from_the_first_row_on() -> None:
    assert not alarms(constant_rows(200, temperature_noise=0.0), 0.0).any()


@pytest.mark.parametrize(("temperature_noise", "max_other_alarms"), [(0.0, 0), (0.3, 5)])
@pytest.mark.parametrize("changed_rows", [1, 40])
@pytest.mark.parametrize("change", [0.2, 5.0])
def test_a_change_raises_an_alarm_at_once_and_the_alarm_ends_after_the_change(
    temperature_noise: float, max_other_alarms: int, changed_rows: int, change: float
) -> None:
    values = constant_rows(200, temperature_noise=temperature_noise)
    values[50 : 50 + changed_rows, 1] += change

    is_alarm = alarms(values, temperature_noise)

    assert is_alarm[50 : 50 + changed_rows].all()
    assert is_alarm[50 + changed_rows + ROWS_UNTIL_QUIET :].sum() <= max_other_alarms


def test_a_second_change_of_another_signal_raises_an_alarm() -> None:
    values = constant_rows(200, temperature_noise=0.0)
    values[50, 0] = 80.0
    values[100:, 1] = 45.0

    is_alarm = alarms(values, 0.0)

    assert is_alarm[50]
    assert not is_alarm[50 + ROWS_UNTIL_QUIET : 100].any()
    assert is_alarm[100:].all()
