"""The level guard: a slow change raises one alarm, which ends when the new level is accepted."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.runtime.setting_keys import AlarmSettings, TrainerSettings
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.detector import DetectionResult, Detector
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.scoring.faulty import readings_from, schema_for

TRAIN_STEPS, ACCEPT_AFTER_ROWS = 2_000, 300
CRITICAL = SEVERITIES.index(Severity.CRITICAL)


def values_of(steps: int, seed: int) -> NDArray[np.float64]:
    """Return independent values (steps, 1 sensor, 2 signals) around 50 and 5."""
    noise = np.random.default_rng(seed).normal(size=(steps, 1, 2))
    return np.asarray([50.0, 5.0]) + np.asarray([2.0, 0.1]) * noise


@cache
def a_guarded_detector() -> Detector:
    values = values_of(TRAIN_STEPS, seed=1)
    settings = TrainerSettings(trees=20, alarms=AlarmSettings(accept_after_rows=ACCEPT_AFTER_ROWS))
    return fit_with_memory(readings_from(values), schema_for(values), settings)[0]


def detect(values: NDArray[np.float64], *, rows_per_batch: int = 10_000) -> list[DetectionResult]:
    detector, memory = a_guarded_detector(), a_guarded_detector().empty_memory()
    readings = readings_from(values)
    return [
        detector.detect(
            readings.take(slice(start, start + rows_per_batch)),
            memory,
            positions=np.arange(start, min(start + rows_per_batch, len(readings))),
        )
        for start in range(0, len(readings), rows_per_batch)
    ]


def test_a_slow_rise_raises_a_critical_alarm_before_the_rise_ends() -> None:
    values = values_of(900, seed=2)
    values[200:, 0, 0] += np.clip(np.arange(700) / 400, 0, 1) * 2.0 * 8

    (result,) = detect(values)

    severity = result.detections.severity
    assert (severity[:200] < CRITICAL).all()
    assert (severity[400:500] == CRITICAL).all()


@pytest.mark.parametrize("scales", [3.0, 60.0, 1e6])
def test_a_new_level_is_accepted_once_and_is_then_usual(scales: float) -> None:
    values = values_of(1_500, seed=3)
    values[200:, 0, 0] += 2.0 * scales

    (result,) = detect(values)

    detections = result.detections
    (accepted_row,) = np.flatnonzero(detections.is_accepted)
    assert ACCEPT_AFTER_ROWS <= accepted_row - 200 < ACCEPT_AFTER_ROWS + 60
    assert detections.is_anomaly[260:accepted_row].all()
    assert detections.is_anomaly[accepted_row + 60 :].mean() < 0.03
    before, after = (
        detections.evidence.reference[accepted_row],
        detections.evidence.next_reference[accepted_row],
    )
    assert before[0] == pytest.approx(50.0, abs=0.5)
    assert after[0] == pytest.approx(50.0 + 2.0 * scales, abs=6.0)
    assert after[1] == before[1]


@pytest.mark.parametrize("scales", [5.0, 60.0, 1e6])
def test_after_a_return_the_former_level_is_usual_at_once(scales: float) -> None:
    values = values_of(1_300, seed=8)
    values[200:700, 0, 0] += 2.0 * scales
    values[1_000:, 0, 0] += 2.0 * scales

    (result,) = detect(values)

    detections = result.detections
    for change in (700, 1_000):
        assert scales < 10 or detections.is_anomaly[change]
        assert not detections.is_anomaly[change + 30 : change + 290].any()
    accepted_rows = np.flatnonzero(detections.is_accepted)
    assert len(accepted_rows) == 3
    assert (accepted_rows[1:] - [700, 1_000] <= 5).all()
    reference = detections.evidence.reference[:, 0]
    assert reference[701 + 30] == reference[0]
    assert reference[-1] == reference[650]


def test_a_return_to_a_level_close_to_the_reference_changes_nothing() -> None:
    values = values_of(1_500, seed=9)
    values[200:900, 0, 0] += 2.0 * 3

    (result,) = detect(values)

    assert 0 < result.detections.is_accepted.sum() <= 2


def test_a_spike_of_one_row_does_not_move_the_smoothed_level() -> None:
    values = values_of(300, seed=4)
    values[200, 0, 0] += 1e6

    (result,) = detect(values)

    assert result.detections.is_anomaly[200]
    assert not result.detections.is_anomaly[230:].any()


def test_results_do_not_depend_on_how_rows_are_cut() -> None:
    values = values_of(900, seed=5)
    values[100:, 0, 0] += 2.0 * 30
    (expected,) = detect(values)

    parts = detect(values, rows_per_batch=37)

    for name in ("raw_score", "severity", "previous_severity", "is_accepted", "episode_rate"):
        joined = np.concatenate([getattr(part.detections, name) for part in parts])
        assert np.array_equal(joined, getattr(expected.detections, name)), name


def test_drift_at_the_rate_of_training_raises_no_critical_alarm() -> None:
    values = values_of(6_000, seed=6)
    values[:, 0, 0] += np.arange(6_000) * 2.0 * 0.001
    settings = TrainerSettings(trees=20)
    schema = schema_for(values)
    readings = readings_from(values)
    detector, memory = fit_with_memory(readings.take(slice(0, 2_000)), schema, settings)

    rows = readings.take(slice(2_000, None))
    detections = detector.detect(rows, memory, positions=rows.index).detections

    assert (detections.severity < CRITICAL).all()
    assert detections.is_anomaly.mean() < 0.03
