"""A simulated fleet with labelled faults, and the same fleet with slow drifts."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.episodes import TrueFault
from benchmarks.quality.alarms.sensor_rows import DAY_SECONDS, SECOND_US, SensorRows, simulated_rows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import FAULT_KINDS, Chunk, Simulation, simulate

SENSORS, DAYS, TRAIN_DAYS = 50, 14, 3
INTERVAL_SECONDS = 600
STEP_US = INTERVAL_SECONDS * SECOND_US
FAULT_SIZE = 6.0
DRIFT_SIZE, DRIFT_ROWS, ROWS_BETWEEN_DRIFTS = 3.0, 200, 500
"""Size in standard deviations of the noise, and length of a drift."""
_STEPS_PER_DAY = DAY_SECONDS // INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class LabelledReadings:
    """Readings in order of time, and their faults."""

    readings: Readings
    faults: list[TrueFault]


def clean_fleet(seed: int, *, sensors: int = SENSORS, days: int = DAYS) -> SensorRows:
    """Simulate a fleet without faults; the rows of the first three days are for training."""
    return simulated_rows(
        sensors=sensors,
        steps=days * _STEPS_PER_DAY,
        train_steps=TRAIN_DAYS * _STEPS_PER_DAY,
        interval_seconds=INTERVAL_SECONDS,
        seed=seed,
    )


def faulty_fleet(seed: int, *, sensors: int = SENSORS, days: int = DAYS) -> LabelledReadings:
    """Return the judged rows of `clean_fleet` with the simulator's random faults of 6 sigma.

    Malformed rows are left out, because the parser rejects them.
    """
    rows = days * _STEPS_PER_DAY * sensors
    (chunk,) = simulate(
        Simulation(
            sensors=sensors,
            rows=rows,
            seed=seed,
            interval_seconds=INTERVAL_SECONDS,
            faults=FaultPlan(size=FAULT_SIZE),
            chunk_rows=rows,
        )
    )
    # The simulator counts only the rows that it sends, so the last rows are later than `days`.
    day_bounds = int(chunk.event_time[0]) + np.array([TRAIN_DAYS, days]) * _STEPS_PER_DAY * STEP_US
    judged = chunk.slice_rows(*np.searchsorted(chunk.event_time, day_bounds).tolist())
    readings = _readings(judged)
    well_formed = readings.take(judged.defect == 0)
    return LabelledReadings(well_formed, true_faults(judged.event_time, judged.sensor, judged.kind))


def drifting_fleet(fleet: SensorRows, seed: int) -> LabelledReadings:
    """Return the judged rows of a clean fleet with drifts, each in one signal of one sensor."""
    judged = fleet.judged
    sensors, scale = len(judged.sensor_ids), noise_scale()
    values = judged.values.reshape(-1, sensors, len(scale)).copy()
    event_time = judged.event_time.reshape(-1, sensors)
    rng = np.random.default_rng([seed, sensors, DRIFT_ROWS])
    faults = []
    period = DRIFT_ROWS + ROWS_BETWEEN_DRIFTS
    for first in range(ROWS_BETWEEN_DRIFTS, len(values) - DRIFT_ROWS, period):
        for sensor in range(sensors):
            values[:, sensor] = inject_fault(
                values[:, sensor],
                FaultKind.DRIFT,
                first_row=first,
                length=DRIFT_ROWS,
                size=DRIFT_SIZE,
                scale=scale,
                rng=rng,
                signals=[int(rng.integers(len(scale)))],
            )
            first_time, last_time = event_time[[first, first + DRIFT_ROWS - 1], sensor].tolist()
            faults.append(TrueFault(FaultKind.DRIFT.value, sensor, first_time, last_time))
    drifting = Readings(
        judged.index,
        judged.event_time,
        judged.sensor,
        judged.sensor_ids,
        values.reshape(judged.values.shape),
        judged.context,
    )
    return LabelledReadings(drifting, faults)


def true_faults(
    event_time: NDArray[np.int64], sensor: NDArray[np.int32], kind: NDArray[np.int8]
) -> list[TrueFault]:
    """Return the faults of each sensor: consecutive rows with the same kind of fault.

    Kinds that do not change values are left out.

    All arrays have shape (n,), in order of time; `kind`: 0 or 1 + position in FAULT_KINDS.
    """
    faults = []
    for number in range(int(sensor.max()) + 1):
        rows = np.flatnonzero(sensor == number)
        kinds, times = kind[rows], event_time[rows]
        bounds = np.flatnonzero(np.diff(kinds, prepend=np.int8(0), append=np.int8(0)))
        for first, end in pairwise(bounds.tolist()):
            if kinds[first] and FAULT_KINDS[kinds[first] - 1] in VALUE_KINDS:
                name = FAULT_KINDS[kinds[first] - 1].value
                faults.append(TrueFault(name, number, int(times[first]), int(times[end - 1])))
    return faults


def _readings(chunk: Chunk) -> Readings:
    """Return a chunk's readings; sensor and step determine the index of a row, in every run."""
    sensors = len(chunk.sensor_ids)
    step = (chunk.event_time - Simulation().start) // STEP_US
    return Readings(
        step * sensors + chunk.sensor,
        chunk.event_time,
        chunk.sensor,
        chunk.sensor_ids,
        chunk.values,
        np.empty((len(chunk), 0)),
    )
