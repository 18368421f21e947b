"""Score one simulated sensor with the default detector, trained on a simulated fleet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, explain_rows
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.simulation.sensors import SIGNALS, sensor_names
from sensorwatch.common.simulation.stream import START_TIME, Simulation, simulate
from sensorwatch.trainer.unregistered_model import fit_with_memory

TRAIN_STEPS, STEPS = 2_000, 1_440
MICROSECONDS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """A simulated fleet; training uses all of its sensors except the last."""

    training_sensors: int
    interval_seconds: int

    @property
    def sensor_ids(self) -> tuple[str, ...]:
        """Ids of all sensors; the last sensor has no training rows."""
        return sensor_names(self.training_sensors + 1)


MINUTE_FLEET, SECOND_FLEET = Fleet(8, 60), Fleet(32, 1)
"""The training rows of MINUTE_FLEET cover the daily cycle; those of SECOND_FLEET cover only a small
part of it."""

EditValues = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A function that changes the values (rows, signals) before they are scored."""


@dataclass(frozen=True, slots=True)
class ScoredSensor:
    """The n rows of one sensor, and the detector's results for these rows."""

    values: NDArray[np.float64]
    """Shape (n, signals)."""
    detector: Detector
    detections: Detections
    closed_episodes: list[ClosedEpisode]
    first_position: int
    """Position of the first row in the stream to which the positions in `closed_episodes` refer."""
    signals: list[list[SignalReading]]
    """For each row, the readings of its signals in the schema's order."""

    @property
    def statuses(self) -> list[Status]:
        """Status of each row."""
        return [STATUSES[status_number] for status_number in self.detections.status.tolist()]


def score_sensor(
    fleet: Fleet,
    sensor: int,
    steps: slice,
    edit_values: EditValues = lambda values: values,
    *,
    seconds: NDArray[np.int64] | None = None,
) -> ScoredSensor:
    """Score rows of one sensor in order, with a memory that was updated with the training rows.

    `seconds` (rows,): time of each row in seconds after the first step. By default the rows have
    the fleet's interval.
    """
    detector = _trained_detector(fleet)
    memory = detector.empty_memory()
    detector.detect(_training_readings(fleet), memory)
    memory.adopt(detector)
    values = edit_values(_simulated_values(fleet)[TRAIN_STEPS:, sensor][steps].copy())
    seconds_after_first = (
        fleet.interval_seconds * np.arange(len(values)) if seconds is None else seconds
    )
    first = fleet.interval_seconds * (TRAIN_STEPS + int(steps.start))
    readings = _readings(
        values, first + seconds_after_first, [fleet.sensor_ids[sensor]] * len(values)
    )
    outcome = score_readings(readings, [], detector, memory)
    return ScoredSensor(
        readings.values,
        detector,
        outcome.detections,
        outcome.closed,
        int(outcome.positions[0]),
        [
            sorted(row, key=lambda signal: SIGNALS.index(signal.name))
            for row in explain_rows(detector, outcome, np.arange(len(readings)))
        ],
    )


@cache
def _simulated_values(fleet: Fleet) -> NDArray[np.float64]:
    """Return the fleet's simulated values (steps, sensors, signals)."""
    sensors = len(fleet.sensor_ids)
    simulation = Simulation(
        sensors=sensors,
        rows=(TRAIN_STEPS + STEPS) * sensors,
        interval_seconds=fleet.interval_seconds,
    )
    values = np.concatenate([chunk.values for chunk in simulate(simulation)])
    return values.reshape(-1, sensors, len(SIGNALS))


@cache
def _training_readings(fleet: Fleet) -> Readings:
    values = _simulated_values(fleet)[:TRAIN_STEPS, : fleet.training_sensors].reshape(
        -1, len(SIGNALS)
    )
    seconds = fleet.interval_seconds * np.repeat(np.arange(TRAIN_STEPS), fleet.training_sensors)
    return _readings(values, seconds, fleet.sensor_ids[: fleet.training_sensors] * TRAIN_STEPS)


@cache
def _trained_detector(fleet: Fleet) -> Detector:
    detector, _ = fit_with_memory(_training_readings(fleet), _schema(), TrainerSettings())
    return detector


def _schema() -> Schema:
    return schema_from_plain(
        {
            "name": "simulated",
            "time": {"field": "timestamp", "format": "epoch_ms"},
            "key": {"field": "sensor_id"},
            "signals": [{"name": name} for name in SIGNALS],
        }
    )


def _readings(
    values: NDArray[np.float64], seconds: NDArray[np.int64], sensor_ids: Sequence[str]
) -> Readings:
    return build_readings(
        index=range(len(values)),
        event_time=(START_TIME + MICROSECONDS_PER_SECOND * seconds).tolist(),
        sensor_ids=sensor_ids,
        values=values.tolist(),
        signals=len(SIGNALS),
    )
