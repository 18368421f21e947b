"""Training on tables of many shapes: few rows, many signals, constant columns, missing values."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.field_declarations import MissingPolicy, NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME

TARGET_RATE = 0.02
TRAINER_SETTINGS = TrainerSettings(trees=20, target_alert_rate=TARGET_RATE)
NEW_ROWS = 2_000
"""Number of new rows, which follow the training rows."""
MAX_RATE_FACTOR = 5.0
"""Largest factor between the alert rate on new rows and the target, from 400 training rows on."""
MAX_RATE_OF_FEW_ROWS = 0.2
"""Maximum alert rate on new rows after fewer than 400 training rows."""


@dataclass(frozen=True, slots=True)
class DatasetShape:
    """The numbers of rows, sensors and columns of a dataset, and a change of its values."""

    rows: int
    sensors: int = 1
    signals: int = 3
    contexts: int = 0
    change_values: Callable[[NDArray[np.float64], NDArray[np.int32]], None] = lambda *_: None
    """Function that changes the first array, the values (n, signals + contexts), in place.

    The second array (n,) has the number of each row's sensor.
    """

    @property
    def schema(self) -> Schema:
        signals = tuple(
            NumericColumn(name=f"x{k}", missing=MissingPolicy.HOLD_LAST)
            for k in range(self.signals)
        )
        contexts = tuple(NumericColumn(name=f"c{k}") for k in range(self.contexts))
        return Schema(signals=signals, context=contexts)

    def readings(self, seed: int) -> Readings:
        """Return the training rows and NEW_ROWS later rows, with autocorrelated signals."""
        n = self.rows + NEW_ROWS
        rng = np.random.default_rng(seed)
        sensor = (np.arange(n) % self.sensors).astype(np.int32)
        columns = rng.normal(size=(n, self.signals + self.contexts))
        # the first rows get the standard deviation of later rows, 1 / 0.8
        columns[: self.sensors] /= 0.8
        for row in range(self.sensors, n):
            columns[row] += 0.6 * columns[row - self.sensors]
        self.change_values(columns, sensor)
        return Readings(
            np.arange(n, dtype=np.int64),
            START_TIME + MINUTE_MICROSECONDS * np.arange(n, dtype=np.int64),
            sensor,
            tuple(f"s{number}" for number in range(self.sensors)),
            np.ascontiguousarray(columns[:, : self.signals]),
            np.ascontiguousarray(columns[:, self.signals :]),
        )


def make_one_column_constant(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 1] = 7.0


def make_all_columns_constant(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = 7.0


def make_two_signals_collinear(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 2] = 3.0 * columns[:, 0] - 1.0


def separate_levels(columns: NDArray[np.float64], sensor: NDArray[np.int32]) -> None:
    columns[sensor == 1] = 1e6 + 50.0 * columns[sensor == 1]


def add_context_effect(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, -1] = np.sign(columns[:, -1])
    columns[:, 0] += 5.0 * columns[:, -1]


def remove_some_values(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[::7, 0] = np.nan
    columns[:40, 1] = np.nan
    columns[100:160, 2] = np.nan


def remove_all_values_of_a_column(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 1] = np.nan


def round_values(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = columns.round()


def make_tails_heavy(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = columns**3


SHAPES = {
    "one signal": DatasetShape(400, signals=1),
    "one signal, 60 rows": DatasetShape(60, signals=1),
    "60 rows": DatasetShape(60),
    "60 signals, 400 rows": DatasetShape(400, signals=60),
    "60 signals, 60 rows": DatasetShape(60, signals=60),
    "a constant column": DatasetShape(400, change_values=make_one_column_constant),
    "every column constant": DatasetShape(400, change_values=make_all_columns_constant),
    "two collinear signals": DatasetShape(400, change_values=make_two_signals_collinear),
    "two sensors at distant levels": DatasetShape(800, sensors=2, change_values=separate_levels),
    "context that drives a signal": DatasetShape(800, contexts=1, change_values=add_context_effect),
    "missing values": DatasetShape(800, change_values=remove_some_values),
    "a column without any value": DatasetShape(400, change_values=remove_all_values_of_a_column),
    "rounded to a few values": DatasetShape(400, change_values=round_values),
    "heavy tails": DatasetShape(1_000, change_values=make_tails_heavy),
    "200 sensors with 30 rows each": DatasetShape(6_000, sensors=200),
    "more sensors than rows": DatasetShape(60, sensors=100),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_shape_trains_without_a_warning_and_alarms_at_about_the_target_rate(
    shape: DatasetShape,
) -> None:
    """A warning fails the test, because pytest turns warnings into errors."""
    readings = shape.readings(seed=3)

    detector, memory = fit_with_memory(
        readings.take(slice(0, shape.rows)), shape.schema, TRAINER_SETTINGS
    )
    detections = detector.detect(readings.take(slice(shape.rows, None)), memory).detections

    assert all(np.isfinite(array).all() for array in detector.arrays().values() if is_float(array))
    assert np.isfinite(detections.raw_score).all()
    assert np.isfinite(detections.anomaly_score).all()
    alert_rate = detections.is_anomaly.mean()
    if shape.rows < 400:
        assert alert_rate <= MAX_RATE_OF_FEW_ROWS
    elif shape.change_values is make_all_columns_constant:
        assert alert_rate <= TARGET_RATE
    else:
        assert TARGET_RATE / MAX_RATE_FACTOR <= alert_rate <= TARGET_RATE * MAX_RATE_FACTOR


@pytest.mark.parametrize("name", ["60 rows", "a constant column", "two sensors at distant levels"])
def test_a_gross_outlier_alarms_in_any_shape(name: str) -> None:
    shape = SHAPES[name]
    readings = shape.readings(seed=4)
    values = readings.values.copy()
    row = shape.rows + 500
    values[row] += 1_000.0 * (1.0 + 50.0 * float(name.startswith("two sensors")))
    readings_with_outlier = replace(readings, values=values)

    detector, memory = fit_with_memory(
        readings_with_outlier.take(slice(0, shape.rows)), shape.schema, TRAINER_SETTINGS
    )
    detections = detector.detect(
        readings_with_outlier.take(slice(shape.rows, None)), memory
    ).detections

    assert detections.is_anomaly[500]
    assert detections.raw_score[500] == detections.raw_score.max()


def is_float(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind == "f"
