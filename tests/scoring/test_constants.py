"""Signals that never changed in training, in any unit: their alarms begin and end on time."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.runtime.setting_keys import AlarmSettings, TrainerSettings
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME, a_schema

TRAIN_ROWS, JUDGED_ROWS = 500, 600
ACCEPT_AFTER_ROWS = 250
END_ROWS = 20
"""Largest number of rows between the return of a signal and the end of its alarm."""
FAULT_ROW, SECOND_FAULT_ROW = 100, 280
CONSTANTS = {"zero": 0.0, "forty": 40.0, "tiny": 3e-9}
CHANGES = {"zero": 1.0, "forty": 45.0, "tiny": 3e-7}


@dataclass(frozen=True)
class Course:
    """The values of the constant signal in service: `constant`, except for `change`."""

    rows: tuple[int, int]
    """First row and end (exclusive) of the change."""


COURSES = {
    "cold start": Course((0, 0)),
    "spike": Course((FAULT_ROW, FAULT_ROW + 1)),
    "step": Course((FAULT_ROW, JUDGED_ROWS)),
    "return": Course((FAULT_ROW, FAULT_ROW + 40)),
}


def minute_readings(values: NDArray[np.float64], *, start: int = 0) -> Readings:
    return build_readings(
        index=range(start, start + len(values)),
        event_time=[START_TIME + (start + row) * MINUTE_MICROSECONDS for row in range(len(values))],
        sensor_ids=["s0"] * len(values),
        values=values.tolist(),
        signals=3,
    )


def training_values(constant: float, *, all_constant: bool) -> NDArray[np.float64]:
    values = np.full((TRAIN_ROWS + JUDGED_ROWS, 3), constant)
    if not all_constant:
        values[:, :2] = 20.0 + np.random.default_rng(4).uniform(-1, 1, (len(values), 2))
    return values


def fit(values: NDArray[np.float64]) -> tuple[Detector, Memory]:
    settings = TrainerSettings(
        trees=10, max_samples=64, alarms=AlarmSettings(accept_after_rows=ACCEPT_AFTER_ROWS)
    )
    return fit_with_memory(minute_readings(values), a_schema(), settings)


@cache
def fitted(constant: str, *, all_constant: bool) -> tuple[Detector, Memory]:
    return fit(training_values(CONSTANTS[constant], all_constant=all_constant)[:TRAIN_ROWS])


def score(
    values: NDArray[np.float64], detector: Detector, memory: Memory, *, starts_cold: bool = False
) -> Detections:
    """Score the judged rows, which follow the training rows."""
    start_memory = detector.empty_memory() if starts_cold else deepcopy(memory)
    return detector.detect(
        minute_readings(values[TRAIN_ROWS:], start=TRAIN_ROWS), start_memory
    ).detections


@pytest.mark.parametrize("all_constant", [False, True], ids=["one signal", "all signals"])
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("course", COURSES)
def test_a_changed_constant_alarms_at_once_and_the_alarm_ends(
    course: str, constant: str, all_constant: bool
) -> None:
    first, end = COURSES[course].rows
    values = training_values(CONSTANTS[constant], all_constant=all_constant)
    values[TRAIN_ROWS + first : TRAIN_ROWS + end, 2] = CHANGES[constant]

    detections = score(
        values,
        *fitted(constant, all_constant=all_constant),
        starts_cold=course == "cold start",
    )

    is_critical = detections.severity == detections.severity.max()
    alarmed = detections.is_anomaly
    if course == "cold start":
        assert alarmed.mean() < 0.015
        return
    assert alarmed[first]
    assert is_critical[first : min(end, first + ACCEPT_AFTER_ROWS)].all()
    last_alarmed = np.flatnonzero(is_critical)[-1]
    assert last_alarmed < min(end, first + ACCEPT_AFTER_ROWS) + END_ROWS
    assert alarmed[last_alarmed + 1 :].mean() < 0.03


@pytest.mark.parametrize("all_constant", [False, True], ids=["one signal", "all signals"])
@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_second_fault_is_visible_inside_a_long_episode(constant: str, all_constant: bool) -> None:
    values = training_values(CONSTANTS[constant], all_constant=all_constant)
    values[TRAIN_ROWS + FAULT_ROW :, 2] = CHANGES[constant]
    values[TRAIN_ROWS + SECOND_FAULT_ROW :, 2] = CONSTANTS[constant] + 9 * (
        CHANGES[constant] - CONSTANTS[constant]
    )

    detections = score(values, *fitted(constant, all_constant=all_constant))

    assert detections.is_anomaly[FAULT_ROW : SECOND_FAULT_ROW + 1].all()
    assert detections.anomaly_score[SECOND_FAULT_ROW] > 1.0


@pytest.mark.parametrize("power", [-12, -9, 12])
def test_another_unit_changes_no_decision(power: int) -> None:
    """A signal times a power of ten has the same alarms and severities as the signal."""
    values = training_values(7.0, all_constant=False)
    values[TRAIN_ROWS + FAULT_ROW : TRAIN_ROWS + FAULT_ROW + 30, 0] += 4.0
    values[TRAIN_ROWS + SECOND_FAULT_ROW, 2] *= 3.0
    in_other_unit = values * 10.0**power

    detections = score(values, *fit(values[:TRAIN_ROWS]))
    scaled = score(in_other_unit, *fit(in_other_unit[:TRAIN_ROWS]))

    assert detections.is_anomaly[[FAULT_ROW, SECOND_FAULT_ROW]].all()
    assert np.array_equal(detections.is_anomaly, scaled.is_anomaly)
    assert np.array_equal(detections.severity, scaled.severity)
