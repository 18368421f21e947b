"""Rows of sensors for a measurement: first rows for training, then rows that are judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.simulation.sensors import SIGNALS, sensor_names
from sensorwatch.common.simulation.stream import (
    START_TIME,
    VALUE_DECIMALS,
    Simulation,
    simulate,
)

SECOND_US = 1_000_000
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class SensorRows:
    """Rows in order of time, and their schema."""

    name: str
    schema: Schema
    readings: Readings
    """All rows; `index` is the row number."""
    train_rows: int
    """Number of rows for training. The rows after them are judged."""
    interval_seconds: float
    """Seconds between two rows of a sensor."""

    @property
    def training(self) -> Readings:
        """Return the training rows."""
        return self.readings.take(slice(None, self.train_rows))

    @property
    def judged(self) -> Readings:
        """Return the judged rows."""
        return self.readings.take(slice(self.train_rows, None))

    @property
    def judged_sensor_days(self) -> float:
        """Return the time that the judged rows cover, summed over the sensors, in days."""
        judged_rows = len(self.readings) - self.train_rows
        return judged_rows * self.interval_seconds / DAY_SECONDS


def rows_of_grid(
    name: str,
    values: NDArray[np.float64],
    *,
    train_steps: int,
    interval_seconds: float,
    context: NDArray[np.float64] | None = None,
    start: int = START_TIME,
    decimals: int | None = VALUE_DECIMALS,
    missing: str = "reject",
) -> SensorRows:
    """Return the rows of sensors that all send one row at each step.

    `values`: shape (steps, sensors, signals). `context`: shape (steps, sensors, contexts).
    `start`: time of the first step, microseconds UTC. `decimals`: decimals of the values; None:
    the values are not rounded. `missing`: the schema's policy for a value that is NaN.
    """
    steps, sensors, signals = values.shape
    if context is None:
        context = np.empty((steps, sensors, 0))
    step_us = round(interval_seconds * SECOND_US)
    readings = Readings(
        index=np.arange(steps * sensors),
        event_time=np.repeat(start + step_us * np.arange(steps), sensors),
        sensor=np.tile(np.arange(sensors, dtype=np.int32), steps),
        sensor_ids=sensor_names(sensors),
        values=_as_rows(values, decimals),
        context=_as_rows(context, decimals),
    )
    schema = schema_of(name, signals, contexts=context.shape[2], missing=missing)
    return SensorRows(name, schema, readings, train_steps * sensors, interval_seconds)


def simulated_rows(
    *, sensors: int, steps: int, train_steps: int, interval_seconds: int, seed: int
) -> SensorRows:
    """Return the rows of the package's simulator, without faults."""
    rows = steps * sensors
    simulation = Simulation(
        sensors=sensors, rows=rows, seed=seed, interval_seconds=interval_seconds
    )
    values = np.concatenate([chunk.values for chunk in simulate(simulation)])
    return rows_of_grid(
        "fleet",
        values.reshape(steps, sensors, len(SIGNALS)),
        train_steps=train_steps,
        interval_seconds=interval_seconds,
    )


def schema_of(
    name: str, signals: int | Sequence[str], *, contexts: int = 0, missing: str = "reject"
) -> Schema:
    """Return a schema with these signals (or `x1` to `xn`) and the context columns `c1` to `cn`."""
    names = [f"x{number + 1}" for number in range(signals)] if isinstance(signals, int) else signals
    return schema_from_plain(
        {
            "name": name,
            "time": {"field": "timestamp", "format": "epoch_ms"},
            "key": {"field": "sensor_id"},
            "defaults": {"missing": missing},
            "signals": [{"name": signal} for signal in names],
            "context": [{"name": f"c{number + 1}"} for number in range(contexts)],
        }
    )


def _as_rows(values: NDArray[np.float64], decimals: int | None) -> NDArray[np.float64]:
    steps, sensors, columns = values.shape
    rows = np.ascontiguousarray(values.reshape(steps * sensors, columns))
    return rows if decimals is None else np.round(rows, decimals)
