"""Explanations: each signal's value, its expected band and its attribution."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import (
    BAND_SPREADS,
    Direction,
    SignalReading,
    explain_rows,
)
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.sensor_level import compress_outliers
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.detection.detection_streams import score_in_batches, streams_with_irregular_rows
from tests.reading_builders import a_detector, some_readings
from tests.scoring.detectors import DETECTORS, a_forecast_detector


def outcome_of(values: list[list[float]], detector: Detector) -> Outcome:
    """Return the outcome of rows of the sensor s0, with one row per minute."""
    readings = replace(
        some_readings(len(values), sensors=1), values=np.asarray(values, dtype=np.float64)
    )
    return score_readings(readings, [], detector, detector.empty_memory())


def explain_all_rows(outcome: Outcome, detector: Detector) -> list[list[SignalReading]]:
    return explain_rows(detector, outcome, np.arange(len(outcome.readings)))


def signals_by_name(row: list[SignalReading]) -> dict[str, SignalReading]:
    return {signal.name: signal for signal in row}


def test_a_value_outside_the_training_band_is_low_or_high() -> None:
    detector = a_detector()
    band_low, band_high = detector.ranges.low, detector.ranges.high
    values = [band_low, band_high, np.nextafter(band_low, -np.inf), np.nextafter(band_high, np.inf)]

    rows = explain_all_rows(outcome_of([row.tolist() for row in values], detector), detector)

    assert [[signal.direction for signal in row] for row in rows] == [
        [Direction.WITHIN] * 3,
        [Direction.WITHIN] * 3,
        [Direction.LOW] * 3,
        [Direction.HIGH] * 3,
    ]


def test_a_plain_model_shows_each_signals_training_range() -> None:
    detector = a_detector()
    ranges = detector.ranges

    (row,) = explain_all_rows(outcome_of([[0.1, 0.2, 9.0]], detector), detector)

    assert row[0].name == "x3"  # x3 comes first because only its value is unusual
    result = signals_by_name(row)
    assert sorted(result) == ["x1", "x2", "x3"]
    assert [result[name].actual for name in ("x1", "x2", "x3")] == [0.1, 0.2, 9.0]
    assert (result["x2"].expected_low, result["x2"].expected, result["x2"].expected_high) == (
        ranges.low[1],
        ranges.expected[1],
        ranges.high[1],
    )


def test_without_memory_the_level_of_the_sensor_is_expected() -> None:
    detector = a_forecast_detector()

    outcome = outcome_of([[0.1, 0.2, 30.0]], detector)
    (row,) = explain_all_rows(outcome, detector)

    assert STATUSES[outcome.detections.status[0]] is Status.WARMING_UP
    assert row[0].name == "x3"
    levels, level = detector.levels, detector.levels.level_by_sensor["s0"]
    for column, signal in enumerate(signals_by_name(row)[name] for name in ("x1", "x2", "x3")):
        location, scale = levels.location[level, column], levels.scale[level, column]
        assert signal.expected == location
        assert signal.expected_low == pytest.approx(location - BAND_SPREADS * scale)
        assert signal.expected_high == pytest.approx(location + BAND_SPREADS * scale)


def test_with_memory_about_99_percent_of_clean_rows_lie_within_their_band() -> None:
    detector = a_forecast_detector()
    clean_readings = some_readings(3_000, seed=11)
    outcome = score_readings(clean_readings, [], detector, detector.empty_memory())

    rows = explain_all_rows(outcome, detector)

    assert (outcome.detections.status == STATUSES.index(Status.SCORED)).mean() > 0.99
    is_within_band = [signal.direction == Direction.WITHIN for row in rows for signal in row]
    assert 0.98 < np.mean(is_within_band) < 0.996


def test_a_compressed_forecast_is_converted_to_the_unit_of_its_signal() -> None:
    """The forecast of an outlier is compressed; an explanation reverses the compression."""
    detector = a_forecast_detector()
    outcome = outcome_of([[0.0, 0.0, 0.0]] * 4 + [[500.0, 0.0, 0.0]] * 3, detector)
    evidence = outcome.detections.evidence

    row = signals_by_name(explain_all_rows(outcome, detector)[-1])

    location, scale = evidence.location[-1, 0], evidence.scale[-1, 0]
    compressed_value = compress_outliers((row["x1"].expected - location) / scale)
    assert compressed_value == pytest.approx(evidence.expected[-1, 0], rel=1e-9)


def test_expected_values_stay_within_the_schemas_bounds() -> None:
    detector = a_forecast_detector()
    first_signal, *other_signals = detector.schema.signals
    bounded_signal = first_signal.model_copy(update={"min": -0.5, "max": 0.5})
    schema = detector.schema.model_copy(update={"signals": (bounded_signal, *other_signals)})

    rows = explain_all_rows(
        outcome_of([[0.4, 0.0, 0.0]] * 5, detector), replace(detector, schema=schema)
    )

    for row in rows:
        x1 = signals_by_name(row)["x1"]
        assert (x1.expected_low, x1.expected_high) == (-0.5, 0.5)
        assert x1.direction == Direction.WITHIN


def test_an_imputed_value_is_marked_as_a_held_value() -> None:
    detector = a_forecast_detector()

    _, row = explain_all_rows(
        outcome_of([[0.5, 0.0, 0.0], [math.nan, 0.0, 9.0]], detector), detector
    )

    result = signals_by_name(row)
    assert [result[name].held for name in ("x1", "x2", "x3")] == [True, False, False]
    assert result["x1"].actual == 0.5


@pytest.mark.parametrize("kind", DETECTORS)
def test_no_rows_have_no_explanations(kind: str) -> None:
    detector = DETECTORS[kind]()

    outcome = outcome_of([[0.0, 0.0, 0.0]], detector)

    assert explain_rows(detector, outcome, np.empty(0, dtype=np.int64)) == []


@pytest.mark.parametrize("kind", DETECTORS)
@given(readings=streams_with_irregular_rows(), data=st.data())
def test_attributions_are_sorted_shares_and_expected_values_are_finite(
    kind: str, readings: Readings, data: st.DataObject
) -> None:
    detector = DETECTORS[kind]()
    readings = replace(
        readings, values=np.nan_to_num(readings.values, nan=data.draw(_EXTREME_VALUES))
    )

    (outcome,) = score_in_batches(readings, detector, detector.empty_memory())

    for row in explain_all_rows(outcome, detector):
        attributions = [signal.attribution for signal in row]
        assert attributions == sorted(attributions, reverse=True)
        assert all(0.0 <= share <= 1.0 for share in attributions)
        assert abs(sum(attributions) - 1.0) <= 1e-9
        for signal in row:
            assert math.isfinite(signal.expected_low)
            assert math.isfinite(signal.expected_high)
            assert signal.expected_low <= signal.expected <= signal.expected_high


_EXTREME_VALUES = st.sampled_from([0.0, 3e38, -3e38, 1e-300])


@pytest.mark.parametrize("kind", DETECTORS)
@given(readings=streams_with_irregular_rows(), data=st.data())
def test_explanations_do_not_depend_on_micro_batch_boundaries(
    kind: str, readings: Readings, data: st.DataObject
) -> None:
    detector = DETECTORS[kind]()
    if kind == "plain":  # the plain detector has no rule for missing values
        readings = replace(readings, values=np.nan_to_num(readings.values, nan=0.0))
    batch_boundaries = data.draw(st.lists(st.integers(0, len(readings)), max_size=6))

    (outcome_at_once,) = score_in_batches(readings, detector, detector.empty_memory())
    batches = score_in_batches(readings, detector, detector.empty_memory(), batch_boundaries)

    explanations_row_by_row = [
        explain_rows(detector, batch, np.asarray([row], dtype=np.int64))[0]
        for batch in batches
        for row in range(len(batch.readings))
    ]
    # The texts are compared, because NaN equals NaN as a text, but not as a number.
    assert repr(explanations_row_by_row) == repr(explain_all_rows(outcome_at_once, detector))
