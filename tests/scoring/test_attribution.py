"""Attribution: the signal with a fault has the highest share of the anomaly."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.attribution import VALUES_PER_FOREST_CALL, attribute_rows
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import a_detector, a_schema, some_readings
from tests.scoring.detectors import a_forecast_detector
from tests.scoring.faulty import FAULT_SIZES, FLEETS, detect_faults

MIN_CORRECT_SHARE = 0.9
"""Smallest share of faults for which the faulty signal has the highest attribution."""
MIN_CORRECT_SHARE_OF_SMALL_RESIDUALS = 0.8
"""Same limit for the share of the anomalous rows with a small residual."""
FAULTS_PER_SENSOR = 12
"""Number of faults per sensor."""


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("kind", FAULT_SIZES)
def test_the_signal_with_a_fault_has_the_highest_attribution(fleet: str, kind: FaultKind) -> None:
    """The test uses the first anomalous row of each fault and the row with the highest score."""
    stream = detect_faults(fleet, kind, size=FAULT_SIZES[kind], slots=FAULTS_PER_SENSOR)
    score = stream.outcome.detections.raw_score

    detected_faults = [(stream.rows(fault), fault.signal) for fault in stream.faults]
    detected_faults = [(rows, signal) for rows, signal in detected_faults if len(rows)]

    assert len(detected_faults) >= 0.4 * len(stream.faults)
    signals = [signal for _, signal in detected_faults]
    assert (
        stream.correct_share([int(rows[0]) for rows, _ in detected_faults], signals)
        >= MIN_CORRECT_SHARE
    )
    assert (
        stream.correct_share(
            [int(rows[score[rows].argmax()]) for rows, _ in detected_faults], signals
        )
        >= MIN_CORRECT_SHARE
    )


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_small_lasting_shift_is_attributed_to_its_signal(fleet: str) -> None:
    """The smoothed residuals identify the signal even if the row's own residual is small."""
    stream = detect_faults(fleet, FaultKind.LEVEL_SHIFT, size=2.0, slots=FAULTS_PER_SENSOR)
    evidence, forecast = stream.outcome.detections.evidence, stream.detector.forecast
    assert forecast is not None
    residual = evidence.standardised[:, : len(forecast.spread)] - evidence.expected
    residual_norm = np.linalg.norm(residual @ forecast.whitening.T, axis=1)
    has_small_residual = residual_norm < np.quantile(residual_norm, 0.9)

    detected_rows = [
        (row, fault.signal)
        for fault in stream.faults
        for row in stream.rows(fault).tolist()
        if has_small_residual[row]
    ]

    assert len(detected_rows) > 50
    assert (
        stream.correct_share(
            [row for row, _ in detected_rows], [signal for _, signal in detected_rows]
        )
        >= MIN_CORRECT_SHARE_OF_SMALL_RESIDUALS
    )


def test_context_gets_no_attribution() -> None:
    """An extreme context value makes the row anomalous, but only signals get an attribution."""
    schema = a_schema().model_copy(update={"context": (NumericColumn(name="command"),)})
    readings = some_readings(600)
    command = np.random.default_rng(1).normal(size=(600, 1))
    readings = replace(readings, values=readings.values + command, context=command)
    detector = fit_unregistered(
        readings, schema, TrainerSettings(trees=10, max_samples=64, min_rows=30)
    )
    extreme_context = command.copy()
    extreme_context[-1] = 1_000.0

    outcome = score_readings(
        replace(readings, context=extreme_context), [], detector, detector.empty_memory()
    )
    attributions = attribute_rows(detector, outcome, np.asarray([599]))

    assert outcome.detections.is_anomaly[-1]
    assert attributions.shape == (1, len(schema.signals))
    assert attributions.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_row_equal_to_its_expectation_has_equal_attributions() -> None:
    detector = a_detector()
    readings = some_readings(1)
    expected_readings = replace(readings, values=detector.ranges.expected[np.newaxis].copy())

    outcome = score_readings(expected_readings, [], detector, detector.empty_memory())

    assert attribute_rows(detector, outcome, np.asarray([0])).tolist() == [[1 / 3] * 3]


def test_if_no_score_drops_the_most_outlying_signal_has_the_highest_attribution() -> None:
    """Each component of the score has weight zero, so no replaced value can change the score."""
    detector = a_forecast_detector()
    assert detector.decision is not None
    zero_weights = replace(detector.decision, weights=np.zeros_like(detector.decision.weights))
    readings = some_readings(100)
    readings.values[-1, 1] = 30.0

    outcome = score_readings(readings, [], detector, detector.empty_memory())
    attributions = attribute_rows(
        replace(detector, decision=zero_weights), outcome, np.asarray([99])
    )

    assert attributions[0].argmax() == 1
    assert attributions[0, 1] > 0.9


def test_attributions_do_not_depend_on_the_rows_per_call() -> None:
    detector = a_forecast_detector()
    outcome = score_readings(some_readings(15_000), [], detector, detector.empty_memory())
    rows = np.arange(15_000)
    rows_per_call = VALUES_PER_FOREST_CALL // (4 * len(detector.plan.features))
    assert rows_per_call < len(rows)

    attributions = attribute_rows(detector, outcome, rows)

    boundary_rows = rows[rows_per_call - 1 : rows_per_call + 1]
    assert (
        attributions[boundary_rows].tobytes()
        == attribute_rows(detector, outcome, boundary_rows).tobytes()
    )
