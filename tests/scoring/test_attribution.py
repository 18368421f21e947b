"""The highest attribution names the signal that failed."""

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

MIN_SHARE_BLAMED_RIGHT = 0.9
"""The share of the faults of which the right signal is to be named."""
MIN_SHARE_BLAMED_RIGHT_LATER = 0.8
"""Likewise of rows that are usual by themselves."""
SLOTS = 12


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("kind", SIZES)
def test_the_highest_attribution_names_the_signal_that_failed(fleet: str, kind: FaultKind) -> None:
    """In the first event of a fault, and in the row that scores highest."""
    stream = detect_faults(fleet, kind, size=SIZES[kind], slots=SLOTS)
    score = stream.outcome.detections.raw_score

    result = [(stream.rows(fault), fault.signal) for fault in stream.faults]
    result = [(rows, signal) for rows, signal in result if len(rows)]

    assert len(result) >= 0.4 * len(stream.faults)
    signals = [signal for _, signal in result]
    assert (
        stream.share_blamed_right([int(rows[0]) for rows, _ in result], signals)
        >= MIN_SHARE_BLAMED_RIGHT
    )
    assert (
        stream.share_blamed_right([int(rows[score[rows].argmax()]) for rows, _ in result], signals)
        >= MIN_SHARE_BLAMED_RIGHT
    )


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_small_lasting_shift_is_attributed_to_its_signal(fleet: str) -> None:
    """What was smoothed over the rows before bears the blame where the row itself is usual."""
    stream = detect_faults(fleet, FaultKind.LEVEL_SHIFT, size=2.0, slots=SLOTS)
    evidence, forecast = stream.outcome.detections.evidence, stream.detector.forecast
    assert forecast is not None
    left = evidence.standardised[:, : len(forecast.spread)] - evidence.expected
    distance = np.linalg.norm(left @ forecast.whitening.T, axis=1)
    as_expected = distance < np.quantile(distance, 0.9)

    result = [
        (row, fault.signal)
        for fault in stream.faults
        for row in stream.rows(fault).tolist()
        if as_expected[row]
    ]

    assert len(result) > 50
    assert (
        stream.share_blamed_right([row for row, _ in result], [signal for _, signal in result])
        >= MIN_SHARE_BLAMED_RIGHT_LATER
    )


def test_context_gets_no_attribution() -> None:
    """A command that was never seen makes the rows strange; the shares are the signals' alone."""
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


def test_an_expected_row_gives_every_signal_the_same_attribution() -> None:
    detector = a_detector()
    readings = some_readings(1)
    as_expected = replace(readings, values=detector.ranges.expected[np.newaxis].copy())

    outcome = score_readings(as_expected, [], detector, detector.empty_memory())

    assert attribute_rows(detector, outcome, np.asarray([0])).tolist() == [[1 / 3] * 3]


def test_if_no_score_drops_the_most_outlying_signal_has_the_highest_attribution() -> None:
    """A model of which no component counts says nothing by its score."""
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
    at_once = VALUES_PER_FOREST_CALL // (4 * len(detector.plan.features))
    assert at_once < len(rows)

    whole = attribute_rows(detector, outcome, rows)

    boundary_rows = rows[at_once - 1 : at_once + 1]
    assert (
        whole[boundary_rows].tobytes() == attribute_rows(detector, outcome, boundary_rows).tobytes()
    )
