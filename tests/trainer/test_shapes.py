"""Training on whatever people have: few rows, many signals, constant columns, holes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import MissingPolicy, NumericColumn, Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import MINUTE, START

RATE = 0.02
TRAINER_SETTINGS = TrainerSettings(trees=20, target_alert_rate=RATE)
NEW_ROWS = 2_000
MAX_RATE_FACTOR_OFF = 5.0
"""Of rows of the same kind, the share alarmed is at most so many times the target or a part of it
so small, where there were at least 400 rows to learn from."""
MAX_RATE_OF_FEW_ROWS = 0.2
"""Share alarmed with fewer rows to learn from."""


@dataclass(frozen=True, slots=True)
class DatasetShape:
    """What the rows of a test look like."""

    rows: int
    sensors: int = 1
    signals: int = 3
    contexts: int = 0
    change: Callable[[NDArray[np.float64], NDArray[np.int32]], None] = lambda *_: None
    """Changes all values (n, signals + contexts) in place, given the sensors (n,)."""

    @property
    def schema(self) -> Schema:
        signals = tuple(
            NumericColumn(name=f"x{k}", missing=MissingPolicy.HOLD_LAST)
            for k in range(self.signals)
        )
        contexts = tuple(NumericColumn(name=f"c{k}") for k in range(self.contexts))
        return Schema(signals=signals, context=contexts)

    def readings(self, seed: int) -> Readings:
        """Make the rows to learn from, and FRESH more after them: autocorrelated signals."""
        n = self.rows + NEW_ROWS
        random = np.random.default_rng(seed)
        sensor = (np.arange(n) % self.sensors).astype(np.int32)
        columns = random.normal(size=(n, self.signals + self.contexts))
        columns[: self.sensors] /= 0.8  # as if there had been rows before
        for row in range(self.sensors, n):
            columns[row] += 0.6 * columns[row - self.sensors]
        self.change(columns, sensor)
        return Readings(
            np.arange(n, dtype=np.int64),
            START + MINUTE * np.arange(n, dtype=np.int64),
            sensor,
            tuple(f"s{number}" for number in range(self.sensors)),
            np.ascontiguousarray(columns[:, : self.signals]),
            np.ascontiguousarray(columns[:, self.signals :]),
        )


def constant(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 1] = 7.0


def all_constant(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = 7.0


def copies(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 2] = 3.0 * columns[:, 0] - 1.0


def levels_far_apart(columns: NDArray[np.float64], sensor: NDArray[np.int32]) -> None:
    columns[sensor == 1] = 1e6 + 50.0 * columns[sensor == 1]


def driven_by_context(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, -1] = np.sign(columns[:, -1])
    columns[:, 0] += 5.0 * columns[:, -1]


def with_holes(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[::7, 0] = np.nan
    columns[:40, 1] = np.nan
    columns[100:160, 2] = np.nan


def always_missing(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:, 1] = np.nan


def rounded(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = columns.round()


def heavy_tailed(columns: NDArray[np.float64], _: NDArray[np.int32]) -> None:
    columns[:] = columns**3


SHAPES = {
    "one signal": DatasetShape(400, signals=1),
    "one signal, 60 rows": DatasetShape(60, signals=1),
    "60 rows": DatasetShape(60),
    "60 signals, 400 rows": DatasetShape(400, signals=60),
    "60 signals, 60 rows": DatasetShape(60, signals=60),
    "a constant column": DatasetShape(400, change=constant),
    "every column constant": DatasetShape(400, change=all_constant),
    "two columns that are one": DatasetShape(400, change=copies),
    "two sensors a million apart": DatasetShape(800, sensors=2, change=levels_far_apart),
    "context that steers": DatasetShape(800, contexts=1, change=driven_by_context),
    "holes that are held": DatasetShape(800, change=with_holes),
    "a column without any value": DatasetShape(400, change=always_missing),
    "rounded to a few values": DatasetShape(400, change=rounded),
    "heavy tails": DatasetShape(1_000, change=heavy_tailed),
    "200 sensors with 30 rows each": DatasetShape(6_000, sensors=200),
    "more sensors than rows": DatasetShape(60, sensors=100),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_shape_of_rows_trains_without_a_warning_and_alarms_about_as_often_as_told(
    shape: DatasetShape,
) -> None:
    """Warnings are errors here. A rate counts as met where chance in FRESH rows allows it."""
    readings = shape.readings(seed=3)

    detector, memory = fit_with_memory(
        readings.take(slice(0, shape.rows)), shape.schema, TRAINER_SETTINGS
    )
    fresh = detector.detect(readings.take(slice(shape.rows, None)), memory).detections

    assert all(np.isfinite(array).all() for array in detector.arrays().values() if is_float(array))
    assert np.isfinite(fresh.raw_score).all()
    assert np.isfinite(fresh.anomaly_score).all()
    rate = fresh.is_anomaly.mean()
    if shape.rows < 400:
        assert rate <= MAX_RATE_OF_FEW_ROWS
    elif shape.change is all_constant:
        assert rate <= RATE
    else:
        assert RATE / MAX_RATE_FACTOR_OFF <= rate <= RATE * MAX_RATE_FACTOR_OFF


@pytest.mark.parametrize("name", ["60 rows", "a constant column", "two sensors a million apart"])
def test_a_gross_outlier_is_found_in_any_shape(name: str) -> None:
    shape = SHAPES[name]
    readings = shape.readings(seed=4)
    values = readings.values.copy()
    row = shape.rows + 500
    values[row] += 1_000.0 * (1.0 + 50.0 * float(name.startswith("two sensors")))
    outlying = replace(readings, values=values)

    detector, memory = fit_with_memory(
        outlying.take(slice(0, shape.rows)), shape.schema, TRAINER_SETTINGS
    )
    fresh = detector.detect(outlying.take(slice(shape.rows, None)), memory).detections

    assert fresh.is_anomaly[500]
    assert fresh.raw_score[500] == fresh.raw_score.max()


def is_float(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind == "f"
