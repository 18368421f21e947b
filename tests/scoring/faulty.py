"""Simulated sensors, each fault of which changes one signal, and the detection of these faults."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.attribution import attribute_rows
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.simulation.faults import FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import noise_scale, sensor_names
from sensorwatch.common.simulation.stream import VALUE_DECIMALS, Simulation, simulate
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME

SENSORS, TRAIN_STEPS, SLOT_STEPS = 8, 1_000, 200
FAULT_SIZES = {
    FaultKind.SPIKE: 6.0,
    FaultKind.LEVEL_SHIFT: 4.0,
    FaultKind.NOISE_BURST: 4.0,
    FaultKind.STUCK: 0.0,
    FaultKind.BROKEN_CORRELATION: 1.0,
}
"""Size of each kind of fault, in standard deviations of the signal's noise."""
FAULT_ROWS = dict.fromkeys(FAULT_SIZES, 30) | {FaultKind.SPIKE: 1, FaultKind.BROKEN_CORRELATION: 60}
"""Number of rows of a fault, by its kind."""
_FAULT_FREE_STEPS = 60
"""Minimum number of steps without a fault at the start and at the end of a slot."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in one signal of one sensor."""

    sensor: int
    first_step: int
    length: int
    """Number of steps with the fault."""
    signal: int


@dataclass(frozen=True, slots=True)
class DetectedFaults:
    """A stream with faults, and the outcome of scoring it. Each sensor has one row per minute."""

    detector: Detector
    outcome: Outcome
    faults: list[Fault]

    def rows(self, fault: Fault) -> NDArray[np.int64]:
        """Return the anomalous rows of a fault, without rows of an alarm that began before it."""
        first_row = fault.first_step * SENSORS + fault.sensor
        rows = np.arange(first_row, first_row + fault.length * SENSORS, SENSORS, dtype=np.int64)
        detections = self.outcome.detections
        detected_rows: NDArray[np.int64] = rows[
            detections.is_anomaly[rows] & (detections.episode[rows] >= first_row)
        ]
        return detected_rows

    def correct_share(self, rows: list[int], signals: list[int]) -> float:
        """Return the share of rows in which the signal in `signals` has the highest attribution."""
        attributions = attribute_rows(self.detector, self.outcome, np.asarray(rows, dtype=np.int64))
        return float(np.mean(attributions.argmax(axis=1) == np.asarray(signals)))


def three_signals(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return simulated values (steps, SENSORS, 3), and the scale of each signal's noise."""
    chunks = simulate(Simulation(sensors=SENSORS, rows=steps * SENSORS, interval_seconds=60))
    values = np.concatenate([chunk.values for chunk in chunks])
    return values.reshape(steps, SENSORS, -1), noise_scale()


def eight_signals(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values (steps, SENSORS, 8), and the standard deviation of each signal's noise.

    The signals have different units. They depend on two slowly changing causes and on the time of
    day. A larger number of steps does not change the first rows.
    """
    weights_rng, cause_rng, noise_rng = (np.random.default_rng([8, seed]) for seed in range(3))
    signal_scale = np.asarray([1.0, 10.0, 0.1, 5.0, 2.0, 100.0, 1.0, 0.01])
    mixing_weights, sensor_levels = (
        weights_rng.normal(size=(2, 8)),
        weights_rng.normal(size=(SENSORS, 8)),
    )
    causes = cause_rng.standard_normal((steps, SENSORS, 2))
    for step in range(1, steps):
        causes[step] = 0.8 * causes[step - 1] + 0.6 * causes[step]
    noise = causes @ mixing_weights + 0.5 * noise_rng.standard_normal((steps, SENSORS, 8))
    daily_cycle = np.sin(2 * np.pi * np.arange(steps) / 1_440)[:, np.newaxis, np.newaxis]
    return np.round(
        (sensor_levels + daily_cycle + noise) * signal_scale, VALUE_DECIMALS
    ), noise.std(axis=(0, 1)) * signal_scale


FLEETS: dict[str, Callable[[int], tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
    "three": three_signals,
    "eight": eight_signals,
}


@cache
def trained_detector(fleet: str) -> Detector:
    """Return a detector with the default settings, trained on a fleet's clean rows."""
    values, _ = FLEETS[fleet](TRAIN_STEPS)
    return fit_unregistered(readings_from(values), schema_for(values), TrainerSettings())


def detect_faults(fleet: str, kind: FaultKind, *, size: float, slots: int) -> DetectedFaults:
    """Score the training rows, and later rows with one fault per slot and sensor."""
    values, scale = FLEETS[fleet](TRAIN_STEPS + slots * SLOT_STEPS)
    rng = np.random.default_rng([len(scale), list(FaultKind).index(kind)])
    faults = []
    for slot in range(slots):
        for sensor in range(SENSORS):
            slot_start = TRAIN_STEPS + slot * SLOT_STEPS
            last_start = SLOT_STEPS - _FAULT_FREE_STEPS - FAULT_ROWS[kind]
            first_step = slot_start + int(rng.integers(_FAULT_FREE_STEPS, last_start + 1))
            healthy_values = values[:, sensor].copy()
            # For a broken correlation, `inject_fault` selects the signal.
            selects_signal = kind is FaultKind.BROKEN_CORRELATION
            values[:, sensor] = inject_fault(
                healthy_values,
                kind,
                first_row=first_step,
                length=FAULT_ROWS[kind],
                size=size,
                scale=scale,
                rng=rng,
                signals=None if selects_signal else [int(rng.integers(len(scale)))],
            )
            (signal,) = np.flatnonzero((values[:, sensor] != healthy_values).any(axis=0)).tolist()
            faults.append(Fault(sensor, first_step, FAULT_ROWS[kind], signal))
    detector = trained_detector(fleet)
    outcome = score_readings(readings_from(values), [], detector, detector.empty_memory())
    return DetectedFaults(detector, outcome, faults)


def readings_from(values: NDArray[np.float64]) -> Readings:
    """Return values (steps, sensors, signals) as readings, ordered by time, then sensor."""
    steps, sensors, signals = values.shape
    rows = steps * sensors
    return Readings(
        np.arange(rows, dtype=np.int64),
        START_TIME + MINUTE_MICROSECONDS * np.repeat(np.arange(steps, dtype=np.int64), sensors),
        np.tile(np.arange(sensors, dtype=np.int32), steps),
        sensor_names(sensors),
        np.ascontiguousarray(values.reshape(rows, signals)),
        np.empty((rows, 0)),
    )


def schema_for(values: NDArray[np.float64]) -> Schema:
    """Return a schema with one signal for each signal in `values`."""
    names = [f"x{number + 1}" for number in range(values.shape[2])]
    return schema_from_plain(
        {
            "name": "faulty",
            "time": {"field": "timestamp"},
            "key": {"field": "sensor_id"},
            "signals": [{"name": name} for name in names],
        }
    )
