"""The highest attribution names the signal that failed."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.schema import Signal
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.attribution import CALL_VALUES, attributions
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.training import refitted
from tests.reading_builders import a_detector, a_schema, some_readings
from tests.scoring.detectors import a_forecast_detector
from tests.scoring.faulty import FLEETS, SIZES, seen

RIGHT = 0.9
"""The share of the faults of which the right signal is to be named."""
RIGHT_HELD = 0.8
"""Likewise of rows that are usual by themselves."""
SLOTS = 12


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("kind", SIZES)
def test_the_highest_attribution_names_the_signal_that_failed(fleet: str, kind: FaultKind) -> None:
    """In the first event of a fault, and in the row that scores highest."""
    stream = seen(fleet, kind, size=SIZES[kind], slots=SLOTS)
    score = stream.outcome.detections.raw_score

    found = [(stream.rows(fault), fault.signal) for fault in stream.faults]
    found = [(rows, signal) for rows, signal in found if len(rows)]

    assert len(found) >= 0.4 * len(stream.faults)
    signals = [signal for _, signal in found]
    assert stream.right([int(rows[0]) for rows, _ in found], signals) >= RIGHT
    assert stream.right([int(rows[score[rows].argmax()]) for rows, _ in found], signals) >= RIGHT


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_small_shift_that_no_row_shows_by_itself_is_blamed_on_its_signal(fleet: str) -> None:
    """What was smoothed over the rows before bears the blame where the row itself is usual."""
    stream = seen(fleet, FaultKind.LEVEL_SHIFT, size=2.0, slots=SLOTS)
    evidence, forecast = stream.outcome.detections.evidence, stream.detector.forecast
    assert forecast is not None
    left = evidence.standard[:, : len(forecast.spread)] - evidence.expected
    distance = np.linalg.norm(left @ forecast.whitening.T, axis=1)
    usual = distance < np.quantile(distance, 0.9)

    found = [
        (row, fault.signal)
        for fault in stream.faults
        for row in stream.rows(fault).tolist()
        if usual[row]
    ]

    assert len(found) > 50
    assert stream.right([row for row, _ in found], [signal for _, signal in found]) >= RIGHT_HELD


def test_context_is_never_accused() -> None:
    """A command that was never seen makes the rows strange; the shares are the signals' alone."""
    schema = a_schema().model_copy(update={"context": (Signal(name="command"),)})
    readings = some_readings(600)
    command = np.random.default_rng(1).normal(size=(600, 1))
    readings = replace(readings, values=readings.values + command, context=command)
    detector = refitted(readings, schema, TrainerSettings(trees=10, max_samples=64, min_rows=30))
    wild = command.copy()
    wild[-1] = 1_000.0

    outcome = score_readings(replace(readings, context=wild), [], detector, detector.cold())
    shares = attributions(detector, outcome, np.asarray([599]))

    assert outcome.detections.is_anomaly[-1]
    assert shares.shape == (1, len(schema.signals))
    assert shares.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_row_that_is_as_expected_blames_every_signal_alike() -> None:
    detector = a_detector()
    readings = some_readings(1)
    usual = replace(readings, values=detector.ranges.expected[np.newaxis].copy())

    outcome = score_readings(usual, [], detector, detector.cold())

    assert attributions(detector, outcome, np.asarray([0])).tolist() == [[1 / 3] * 3]


def test_where_the_score_cannot_drop_the_signal_furthest_out_is_blamed() -> None:
    """A model of which no component counts says nothing by its score."""
    detector = a_forecast_detector()
    assert detector.decision is not None
    deaf = replace(detector.decision, weights=np.zeros_like(detector.decision.weights))
    readings = some_readings(100)
    readings.values[-1, 1] = 30.0

    outcome = score_readings(readings, [], detector, detector.cold())
    shares = attributions(replace(detector, decision=deaf), outcome, np.asarray([99]))

    assert shares[0].argmax() == 1
    assert shares[0, 1] > 0.9


def test_rows_of_several_calls_have_the_bits_of_one() -> None:
    detector = a_forecast_detector()
    outcome = score_readings(some_readings(15_000), [], detector, detector.cold())
    rows = np.arange(15_000)
    at_once = CALL_VALUES // (4 * len(detector.plan.features))
    assert at_once < len(rows)

    whole = attributions(detector, outcome, rows)

    beside = rows[at_once - 1 : at_once + 1]
    assert whole[beside].tobytes() == attributions(detector, outcome, beside).tobytes()
