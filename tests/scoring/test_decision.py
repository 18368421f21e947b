"""Decisions: rarities, smoothing, the end of alarms, refractory rows and stored arrays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.model.decision import (
    COMPONENTS,
    Decision,
    RarityTable,
    decision_from_arrays,
)
from sensorwatch.common.model.forecast import forecast_from_arrays
from sensorwatch.common.model.levels import levels_from_arrays
from sensorwatch.common.model.tails import KNOTS, fit_tail, identity_tables, rarity
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.alarm_state import ALARM_END_SHARE
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory_layout import INITIAL_SMOOTHED_SCORE, FloatColumn, IntColumn
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.scoring.stored_detector import detector_from_arrays
from tests.detection.detection_streams import score_in_batches
from tests.reading_builders import MINUTE_MICROSECONDS, some_readings
from tests.scoring.detectors import a_forecast_detector


def readings_with_shift(
    rows: int, *, start: int, stop: int, size: float, seed: int = 5
) -> Readings:
    """Return rows of the sensor s0, with one signal shifted in the rows from `start` to `stop`."""
    readings = some_readings(rows, seed=seed, sensors=1)
    values = np.clip(readings.values, -1.8, 1.8)
    values[start:stop, 1] += size
    return replace(readings, values=values)


def score_all(detector: Detector, readings: Readings) -> Outcome:
    return score_in_batches(readings, detector, detector.empty_memory())[0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=300),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=50),
)
@example([0.0, 0.0, -4.457403640732761e-299], [0.0, 8013044.0])
def test_rarities_rise_with_scores(sample_scores: list[float], query_scores: list[float]) -> None:
    tail = fit_tail(np.asarray(sample_scores))

    result = rarity(tail, np.sort(np.asarray(query_scores)))

    assert np.all(np.isfinite(result))
    assert result[0] >= 0
    assert np.all(np.diff(result) >= -1e-9 * np.maximum(result[1:], 1.0))


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.01, 0.0001])
def test_a_rarity_is_the_negative_log_of_the_tail_probability(probability: float) -> None:
    """For exponential scores, the tail model is exact, even above the sample's highest score."""
    sample_scores = np.random.default_rng(1).exponential(size=20_000)

    (result,) = rarity(fit_tail(sample_scores), np.asarray([-np.log(probability)]))

    assert result == pytest.approx(-np.log(probability), rel=0.08)


def test_equal_scores_have_the_rarity_of_their_total_share() -> None:
    sample_scores = np.asarray([0.0] * 900 + [1.0] * 100)

    result = rarity(fit_tail(sample_scores), np.asarray([0.0, 1.0]))

    assert result[0] == 0.0
    assert result[1] == pytest.approx(-np.log(0.1), rel=0.1)


def test_identity_tables_map_scores_to_themselves() -> None:
    query_scores = np.asarray([0.0, 0.3, 1.0, 7.5])
    (table,) = identity_tables(1)
    tail = fit_tail(np.ones(3))
    np.testing.assert_allclose(
        rarity(replace(tail, table=table), query_scores), query_scores, rtol=1e-12
    )


def test_an_alarm_lasts_until_the_score_is_below_a_share_of_the_threshold() -> None:
    detector = a_forecast_detector()

    result = score_all(detector, readings_with_shift(300, start=150, stop=200, size=5.0)).detections

    threshold = detector.calibration.threshold
    is_anomaly, raw_score = result.is_anomaly, result.raw_score
    assert is_anomaly[155:200].all()
    assert not is_anomaly[:140].any()
    for row in range(1, 300):
        alarm_holds = is_anomaly[row - 1] and raw_score[row] >= ALARM_END_SHARE * threshold
        assert is_anomaly[row] == (raw_score[row] > threshold or alarm_holds)


def test_in_an_alarm_the_anomaly_score_measures_the_excess_over_the_peak() -> None:
    result = score_all(
        a_forecast_detector(), readings_with_shift(300, start=150, stop=200, size=5.0)
    ).detections

    first_row = int(np.argmax(result.is_anomaly))
    assert result.anomaly_score[first_row] > 1.0
    assert result.anomaly_score[first_row + 10 : 200].max() < 1.0
    assert result.is_anomaly[first_row:200].all()
    # The severity of an episode never falls.
    assert np.all(np.diff(result.severity[first_row:200].astype(int)) >= 0)


def test_no_alarm_starts_within_the_refractory_rows() -> None:
    detector = a_forecast_detector()
    assert detector.decision is not None
    readings = some_readings(200, seed=5, sensors=1)
    values = np.clip(readings.values, -1.5, 1.5)
    values[[100, 140, 180]] = 30.0
    readings_with_spikes = replace(readings, values=values)
    refractory_detector = replace(detector, decision=replace(detector.decision, refractory_rows=60))

    without_refractory, with_refractory = (
        score_all(detector, readings_with_spikes).detections,
        score_all(refractory_detector, readings_with_spikes).detections,
    )

    alarm_starts = [
        np.flatnonzero(result.episode_rows == 1).tolist()
        for result in (without_refractory, with_refractory)
    ]
    assert alarm_starts[0] == [100, 140, 180]
    assert alarm_starts[1] == [100, 180]


def test_a_gap_ends_the_alarm_and_resets_smoothed_residuals_and_score() -> None:
    """Without the gap before the last row, the score of this row would continue the alarm."""
    detector = a_forecast_detector()
    readings = readings_with_shift(200, start=150, stop=199, size=5.0)
    values, time = readings.values.copy(), readings.event_time.copy()
    values[199] = [0.0, 4.8, 0.0]
    time[199] += 100_000 * MINUTE_MICROSECONDS
    memory, drift_start = detector.empty_memory(), detector.layout.drift_start

    outcome_before_gap, outcome_after_gap = score_in_batches(
        replace(readings, values=values, event_time=time), detector, memory, [199]
    )

    threshold = detector.calibration.threshold
    assert outcome_before_gap.detections.is_anomaly[-1]
    assert STATUSES[outcome_after_gap.detections.status[0]] is Status.GAP
    assert ALARM_END_SHARE * threshold < outcome_after_gap.detections.raw_score[0] < threshold
    assert not outcome_after_gap.detections.is_anomaly[0]
    assert memory.floats[0, FloatColumn.SMOOTHED_SCORE] == INITIAL_SMOOTHED_SCORE
    assert not memory.floats[0, drift_start : drift_start + 3].any()
    assert memory.ints[0, IntColumn.IN_ALARM] == 0


def test_the_p_value_of_clean_rows_is_uniform() -> None:
    """The Kolmogorov-Smirnov distance of the p-values from the uniform distribution is small."""
    detector = a_forecast_detector()
    clean_readings = some_readings(8_000, seed=99)

    result = score_all(detector, clean_readings).detections

    p_value = np.sort(result.p_value[1_000:])
    ks_distance = np.max(np.abs(p_value - np.arange(1, len(p_value) + 1) / len(p_value)))
    assert ks_distance < 0.08  # critical value for 600 training rows: 0.067 = 1.63 / sqrt(600)
    assert np.all((p_value > 0) & (p_value <= 1))


def test_p_values_fall_as_scores_rise() -> None:
    calibration = a_forecast_detector().calibration
    query_scores = np.linspace(0, 20, 50)
    assert np.all(np.diff(p_values(query_scores, calibration)) <= 0)


def test_a_stored_detector_scores_the_same_bits() -> None:
    detector = a_forecast_detector()
    restored_detector = detector_from_arrays("v", detector.schema, detector.plan, detector.arrays())
    rows = readings_with_shift(300, start=100, stop=150, size=4.0)

    expected_detections, actual_detections = (
        score_all(detector, rows).detections,
        score_all(restored_detector, rows).detections,
    )

    assert expected_detections.raw_score.tobytes() == actual_detections.raw_score.tobytes()
    assert expected_detections.is_anomaly.tobytes() == actual_detections.is_anomaly.tobytes()


def arrays_with(name: str, array: NDArray[np.generic] | None) -> dict[str, NDArray[np.generic]]:
    arrays = dict(a_forecast_detector().arrays())
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    return arrays


def changed_tables(**changes: float) -> NDArray[np.float64]:
    decision = a_forecast_detector().decision
    assert decision is not None
    decision_tables = decision.tables.copy()
    for column, value in changes.items():
        decision_tables[0, {"first_knot": 0, "scale": KNOTS + 1}[column]] = value
    return decision_tables


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("decision_tables", None),
        ("decision_tables", changed_tables(first_knot=np.nan)),
        ("decision_tables", changed_tables(first_knot=1e9)),
        ("decision_tables", changed_tables(scale=0.0)),
        ("decision_tables", np.zeros((2, 2))),
        ("decision_weights", np.full(4, 0.5)),
        ("decision_rows", np.asarray([-1, 2_000])),
        ("decision_rows", np.asarray([0, 0])),
        ("forecast_coefficients", np.zeros((3, 3))),
        ("forecast_whitening", np.full((3, 3), np.inf)),
        ("forecast_surprise", None),
        ("level_scale", np.zeros((3, 3))),
        ("level_location", None),
        ("level_sensors", np.asarray(["a", "a"])),
        ("level_limits", np.asarray([-1, 0])),
        ("level_cadence", np.asarray([0.0, -1.0, 1.0])),
        ("level_cadence", np.ones(3)),
        ("level_cadence", np.zeros(2)),
        ("level_gap_factor", np.asarray([10.0, 0.5, 10.0])),
        ("level_gap_factor", None),
    ],
)
def test_a_wrong_array_is_refused_by_its_name(name: str, array: NDArray[np.generic] | None) -> None:
    detector = a_forecast_detector()
    arrays = arrays_with(name, array)

    with pytest.raises(ModelRefused, match=f'the array "{name}" '):
        detector_from_arrays("v", detector.schema, detector.plan, arrays)


def test_each_missing_array_is_refused() -> None:
    signals = len(a_forecast_detector().schema.signals)
    for read_arrays in (
        lambda arrays: decision_from_arrays(arrays, signals=signals),
        lambda arrays: forecast_from_arrays(arrays, signals=signals, contexts=0),
    ):
        with pytest.raises(ModelRefused):
            read_arrays({})
    with pytest.raises(ModelRefused):
        levels_from_arrays({}, 3)


def test_a_component_of_weight_zero_does_not_change_the_score() -> None:
    """The quality benchmark sets the weight of a component to zero to measure its effect."""
    detector = a_forecast_detector()
    assert detector.decision is not None
    zero_weights = replace(detector.decision, weights=np.zeros(len(COMPONENTS)))
    rows = readings_with_shift(300, start=100, stop=150, size=9.0)

    without_components = replace(detector, decision=zero_weights, guard=None)
    result = score_all(without_components, rows).detections

    assert not result.is_anomaly[2:].any()
    assert isinstance(zero_weights, Decision)
    assert len(RarityTable) == len(detector.decision.tables)
