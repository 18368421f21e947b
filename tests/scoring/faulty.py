"""Simulated sensors of which one signal at a time fails, and what a detector found of it."""

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
from sensorwatch.common.simulation.faults import FaultKind, inject
from sensorwatch.common.simulation.sensors import noise_scale, sensor_names
from sensorwatch.common.simulation.stream import DECIMALS, Simulation, simulate
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import MINUTE, START

SENSORS, TRAIN_STEPS, SLOT_STEPS = 8, 1_000, 200
SIZES = {
    FaultKind.SPIKE: 6.0,
    FaultKind.LEVEL_SHIFT: 4.0,
    FaultKind.NOISE_BURST: 4.0,
    FaultKind.STUCK: 0.0,
    FaultKind.BROKEN_CORRELATION: 1.0,
}
"""In standard deviations of the signal's noise."""
EPISODE_LENGTHS = dict.fromkeys(SIZES, 30) | {FaultKind.SPIKE: 1, FaultKind.BROKEN_CORRELATION: 60}
_FAULT_FREE_STEPS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """One signal of one sensor fails in these steps."""

    sensor: int
    at: int
    length: int
    signal: int


@dataclass(frozen=True, slots=True)
class DetectedFaults:
    """What a detector found of faults in a stream, one a minute of each sensor."""

    detector: Detector
    outcome: Outcome
    faults: list[Fault]

    def rows(self, fault: Fault) -> NDArray[np.int64]:
        """Return the fault's anomalous rows, unless an alarm was on already."""
        first = fault.at * SENSORS + fault.sensor
        rows = np.arange(first, first + fault.length * SENSORS, SENSORS, dtype=np.int64)
        detections = self.outcome.detections
        detected_rows: NDArray[np.int64] = rows[
            detections.is_anomaly[rows] & (detections.episode[rows] >= first)
        ]
        return detected_rows

    def share_blamed_right(self, rows: list[int], signals: list[int]) -> float:
        """Return in how many of the rows the highest attribution is that of these signals."""
        shares = attribute_rows(self.detector, self.outcome, np.asarray(rows, dtype=np.int64))
        return float(np.mean(shares.argmax(axis=1) == np.asarray(signals)))


def three_signals(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The simulator's fleet, (steps, SENSORS, 3), and each signal's noise."""
    chunks = simulate(Simulation(sensors=SENSORS, rows=steps * SENSORS, interval_seconds=60))
    values = np.concatenate([chunk.values for chunk in chunks])
    return values.reshape(steps, SENSORS, -1), noise_scale()


def eight_signals(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eight signals in units of their own that follow two slow causes and the day.

    A longer stream begins with a shorter one's rows.
    """
    mix_rng, cause_rng, noise_rng = (np.random.default_rng([8, part]) for part in range(3))
    unit = np.asarray([1.0, 10.0, 0.1, 5.0, 2.0, 100.0, 1.0, 0.01])
    mix, level = mix_rng.normal(size=(2, 8)), mix_rng.normal(size=(SENSORS, 8))
    causes = cause_rng.standard_normal((steps, SENSORS, 2))
    for step in range(1, steps):
        causes[step] = 0.8 * causes[step - 1] + 0.6 * causes[step]
    noise = causes @ mix + 0.5 * noise_rng.standard_normal((steps, SENSORS, 8))
    day = np.sin(2 * np.pi * np.arange(steps) / 1_440)[:, np.newaxis, np.newaxis]
    return np.round((level + day + noise) * unit, DECIMALS), noise.std(axis=(0, 1)) * unit


FLEETS: dict[str, Callable[[int], tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
    "three": three_signals,
    "eight": eight_signals,
}


@cache
def trained(fleet: str) -> Detector:
    """A detector of the default settings, trained on a fleet's clean rows."""
    values, _ = FLEETS[fleet](TRAIN_STEPS)
    return fit_unregistered(readings_from(values), schema_for(values), TrainerSettings())


def detect_faults(fleet: str, kind: FaultKind, *, size: float, slots: int) -> DetectedFaults:
    """Go on where training ended, with a fault in each slot of each sensor."""
    values, scale = FLEETS[fleet](TRAIN_STEPS + slots * SLOT_STEPS)
    rng = np.random.default_rng([len(scale), list(FaultKind).index(kind)])
    faults = []
    for slot in range(slots):
        for sensor in range(SENSORS):
            begin = TRAIN_STEPS + slot * SLOT_STEPS
            latest = SLOT_STEPS - _FAULT_FREE_STEPS - EPISODE_LENGTHS[kind]
            at = begin + int(rng.integers(_FAULT_FREE_STEPS, latest + 1))
            healthy = values[:, sensor].copy()
            # A broken correlation chooses its signal by itself.
            broken = kind is FaultKind.BROKEN_CORRELATION
            values[:, sensor] = inject(
                healthy,
                kind,
                at=at,
                length=EPISODE_LENGTHS[kind],
                size=size,
                scale=scale,
                rng=rng,
                signals=None if broken else [int(rng.integers(len(scale)))],
            )
            (signal,) = np.flatnonzero((values[:, sensor] != healthy).any(axis=0)).tolist()
            faults.append(Fault(sensor, at, EPISODE_LENGTHS[kind], signal))
    detector = trained(fleet)
    outcome = score_readings(readings_from(values), [], detector, detector.empty_memory())
    return DetectedFaults(detector, outcome, faults)


def readings_from(values: NDArray[np.float64]) -> Readings:
    """Put (steps, sensors, signals) into rows by time, then sensor."""
    steps, sensors, signals = values.shape
    rows = steps * sensors
    return Readings(
        np.arange(rows, dtype=np.int64),
        START + MINUTE * np.repeat(np.arange(steps, dtype=np.int64), sensors),
        np.tile(np.arange(sensors, dtype=np.int32), steps),
        sensor_names(sensors),
        np.ascontiguousarray(values.reshape(rows, signals)),
        np.empty((rows, 0)),
    )


def schema_for(values: NDArray[np.float64]) -> Schema:
    """A schema of as many signals as there are."""
    names = [f"x{number + 1}" for number in range(values.shape[2])]
    return schema_from_plain(
        {
            "name": "faulty",
            "time": {"field": "timestamp"},
            "key": {"field": "sensor_id"},
            "signals": [{"name": name} for name in names],
        }
    )
