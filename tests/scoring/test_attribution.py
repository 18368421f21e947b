"""Attribution: the signal with a fault has the highest share."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.schema import NumericColumn
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.attribution import VALUES_PER_FOREST_CALL, attribute_rows
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import a_detector, a_schema, some_readings
from tests.scoring.detectors import a_forecast_detector
from tests.scoring.faulty import FLEETS, SIZES, detect_faults

MIN_CORRECT_SHARE = 0.9
"""Smallest share of faults whose signal has the highest attribution."""
MIN_CORRECT_SHARE_OF_USUAL_ROWS = 0.8
"""Smallest such share among rows with a usual forecast residual."""
SLOTS = 12
"""Number of faults per sensor."""


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("kind", SIZES)
def test_the_signal_with_a_fault_has_the_highest_attribution(fleet: str, kind: FaultKind) -> None:
    """True for the first anomalous row of a fault and for the row with the highest score."""
    stream = detect_faults(fleet, kind, size=SIZES[kind], slots=SLOTS)
    score = stream.outcome.detections.raw_score

    result = [(stream.rows(fault), fault.signal) for fault in stream.faults]
    result = [(rows, signal) for rows, signal in result if len(rows)]

    assert len(result) >= 0.4 * len(stream.faults)
    signals = [signal for _, signal in result]
    assert stream.correct_share([int(rows[0]) for rows, _ in result], signals) >= MIN_CORRECT_SHARE
    assert (
        stream.correct_share([int(rows[score[rows].argmax()]) for rows, _ in result], signals)
        >= MIN_CORRECT_SHARE
    )


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_small_lasting_shift_is_attributed_to_its_signal(fleet: str) -> None:
    """The smoothed residuals identify the signal if the row's own residual is usual."""
    stream = detect_faults(fleet, FaultKind.LEVEL_SHIFT, size=2.0, slots=SLOTS)
    evidence, forecast = stream.outcome.detections.evidence, stream.detector.forecast
    assert forecast is not None
    residual = evidence.standardised[:, : len(forecast.spread)] - evidence.expected
    distance = np.linalg.norm(residual @ forecast.whitening.T, axis=1)
    is_usual = distance < np.quantile(distance, 0.9)

    result = [
        (row, fault.signal)
        for fault in stream.faults
        for row in stream.rows(fault).tolist()
        if is_usual[row]
    ]

    assert len(result) > 50
    assert (
        stream.correct_share([row for row, _ in result], [signal for _, signal in result])
        >= MIN_CORRECT_SHARE_OF_USUAL_ROWS
    )


def test_context_gets_no_attribution() -> None:
    """An unusual command makes the row anomalous; only signals get shares."""
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
    shares = attribute_rows(detector, outcome, np.asarray([599]))

    assert outcome.detections.is_anomaly[-1]
    assert shares.shape == (1, len(schema.signals))
    assert shares.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_row_equal_to_its_expectation_has_equal_attributions() -> None:
    detector = a_detector()
    readings = some_readings(1)
    as_expected = replace(readings, values=detector.ranges.expected[np.newaxis].copy())

    outcome = score_readings(as_expected, [], detector, detector.empty_memory())

    assert attribute_rows(detector, outcome, np.asarray([0])).tolist() == [[1 / 3] * 3]


def test_if_no_score_drops_the_most_outlying_signal_has_the_highest_attribution() -> None:
    """Without any component, replacing a signal changes no score."""
    detector = a_forecast_detector()
    assert detector.decision is not None
    zero_weights = replace(detector.decision, weights=np.zeros_like(detector.decision.weights))
    readings = some_readings(100)
    readings.values[-1, 1] = 30.0

    outcome = score_readings(readings, [], detector, detector.empty_memory())
    shares = attribute_rows(replace(detector, decision=zero_weights), outcome, np.asarray([99]))

    assert shares[0].argmax() == 1
    assert shares[0, 1] > 0.9


def test_attributions_do_not_depend_on_the_rows_per_call() -> None:
    detector = a_forecast_detector()
    outcome = score_readings(some_readings(15_000), [], detector, detector.empty_memory())
    rows = np.arange(15_000)
    rows_per_call = VALUES_PER_FOREST_CALL // (4 * len(detector.plan.features))
    assert rows_per_call < len(rows)

    shares = attribute_rows(detector, outcome, rows)

    boundary_rows = rows[rows_per_call - 1 : rows_per_call + 1]
    assert (
        shares[boundary_rows].tobytes()
        == attribute_rows(detector, outcome, boundary_rows).tobytes()
    )
