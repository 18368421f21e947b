"""A simulated fleet with faults, in which pumps have a recurring harmless pattern."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import SIGNALS, noise_scale
from sensorwatch.common.simulation.stream import Simulation, simulate

INTERVAL_SECONDS = 600
STEPS_PER_DAY = 86_400 // INTERVAL_SECONDS
GAPS = (310, 500)
"""Bounds of the number of steps between two excursions of a sensor. The detector suppresses repeats
of an alarm for at most 300 rows (decision 20), so no alarm here is a repeat."""
FLUSH_SIZES, FLUSH_STEPS = (8.0, 12.0), (5, 9)
"""Bounds of the size of a flush, in standard deviations of the noise, and of its length."""
FAULT_SIZES, FAULT_STEPS = (6.0, 14.0), (6, 30)
"""Bounds of the size of a fault, in standard deviations of the noise, and of its length."""
HARMLESS = "harmless"


@dataclass(frozen=True, slots=True)
class Excursion:
    """A fault or a flush in the stream. Times are microseconds UTC."""

    kind: str
    """A FaultKind, or HARMLESS."""
    sensor: int
    first_time: int
    last_time: int


@dataclass(frozen=True, slots=True)
class FlushedFleet:
    """Clean rows for training, and later rows with faults and flushes."""

    schema: Schema
    training: Readings
    stream: Readings
    excursions: list[Excursion]


def flushed_fleet(
    seed: int, *, sensors: int, train_days: int, days: int, ramp_steps: int = 1
) -> FlushedFleet:
    """Return a fleet of which every second sensor is a pump.

    Once in six days, on average, a pump is flushed: x1 rises and x2 falls for a short time. All
    sensors have faults of all kinds, also faults of x1 that are upwards. `ramp_steps`: number of
    steps in which a flush reaches its size.
    """
    steps = (train_days + days) * STEPS_PER_DAY
    (chunk,) = simulate(
        Simulation(
            sensors=sensors,
            rows=steps * sensors,
            seed=seed,
            interval_seconds=INTERVAL_SECONDS,
            chunk_rows=steps * sensors,
        )
    )
    names = tuple(f"{'pump' if n % 2 else 'fan'}-{n:02d}" for n in range(sensors))
    values = chunk.values.reshape(steps, sensors, len(SIGNALS)).copy()
    times = chunk.event_time.reshape(steps, sensors)
    rng = np.random.default_rng([seed, 15])
    excursions = []
    for sensor in range(sensors):
        step = train_days * STEPS_PER_DAY + int(rng.integers(GAPS[1]))
        while step < steps - FAULT_STEPS[1]:
            is_flush = sensor % 2 == 1 and bool(rng.random() < 0.5)
            length = int(rng.integers(*(FLUSH_STEPS if is_flush else FAULT_STEPS)))
            kind = HARMLESS if is_flush else str(rng.choice(np.asarray(VALUE_KINDS)))
            length = 1 if kind == FaultKind.SPIKE else length
            if is_flush:
                _add_flush(values[step : step + length, sensor], ramp_steps, rng)
            else:
                values[:, sensor] = _with_fault(values[:, sensor], kind, step, length, rng)
            last = step + length - 1
            excursions.append(
                Excursion(kind, sensor, int(times[step, sensor]), int(times[last, sensor]))
            )
            step += length + int(rng.integers(*GAPS))
    readings = Readings(
        np.arange(steps * sensors, dtype=np.int64),
        chunk.event_time,
        chunk.sensor,
        names,
        values.reshape(-1, len(SIGNALS)),
        np.empty((steps * sensors, 0)),
    )
    first_row = train_days * STEPS_PER_DAY * sensors
    return FlushedFleet(
        _schema(),
        readings.take(slice(0, first_row)),
        readings.take(slice(first_row, None)),
        excursions,
    )


def _schema() -> Schema:
    return schema_from_plain(
        {
            "name": "flushed",
            "key": {"field": "sensor_id", "group": {"before": "-"}},
            "time": {"field": "timestamp"},
            "signals": [{"name": name} for name in SIGNALS],
        }
    )


def _add_flush(rows: NDArray[np.float64], ramp_steps: int, rng: np.random.Generator) -> None:
    """Add a flush to rows (steps, signals) of one sensor: x1 rises, and x2 falls."""
    rise, fall = np.arange(1, len(rows) + 1), np.arange(len(rows), 0, -1)
    shape = np.minimum(1.0, np.minimum(rise, fall) / ramp_steps)
    size = rng.uniform(*FLUSH_SIZES)
    rows[:, 0] += size * noise_scale()[0] * shape
    rows[:, 1] -= 0.6 * size * noise_scale()[1] * shape


def _with_fault(
    values: NDArray[np.float64], kind: str, step: int, length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the values of one sensor with a fault of one signal, or of all."""
    has_all_signals = kind == FaultKind.BROKEN_CORRELATION or rng.random() < 0.3
    return inject_fault(
        values,
        FaultKind(kind),
        first_row=step,
        length=length,
        size=float(rng.uniform(*FAULT_SIZES)),
        scale=noise_scale(),
        rng=rng,
        signals=None if has_all_signals else [int(rng.integers(len(SIGNALS)))],
    )
