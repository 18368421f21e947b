"""From components to a decision: tails, smoothing, hold, refractory time, what is new."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.model.decision import Decision, Table, decision_of
from sensorwatch.common.model.forecast import forecast_of
from sensorwatch.common.model.levels import levels_of
from sensorwatch.common.model.tails import KNOTS, identity, rarity, tail_from
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.decide import HOLD
from sensorwatch.common.scoring.detector import Detector, detector_of
from sensorwatch.common.scoring.memory_layout import USUAL, Real, Whole
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.detection.detection_streams import scored
from tests.reading_builders import MINUTE, some_readings
from tests.scoring.detectors import a_forecast_detector


def faulty(rows: int, *, start: int, stop: int, size: float, seed: int = 5) -> Readings:
    """Rows of s0 of which some are shifted in one signal."""
    readings = some_readings(rows, seed=seed, sensors=1)
    values = np.clip(readings.values, -1.8, 1.8)
    values[start:stop, 1] += size
    return replace(readings, values=values)


def through(detector: Detector, readings: Readings) -> Outcome:
    return scored(readings, detector, detector.cold())[0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=300),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=50),
)
def test_a_rarity_never_falls_while_the_score_rises(
    sample: list[float], asked: list[float]
) -> None:
    tail = tail_from(np.asarray(sample))

    found = rarity(tail, np.sort(np.asarray(asked)))

    assert np.all(np.isfinite(found))
    assert found[0] >= 0
    assert np.all(np.diff(found) >= -1e-9 * np.maximum(found[1:], 1.0))


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.01, 0.0001])
def test_a_rarity_is_the_log_of_a_tail_probability(probability: float) -> None:
    """Exponential scores: the tail model is exact, so it holds beyond the sample too."""
    sample = np.random.default_rng(1).exponential(size=20_000)

    (found,) = rarity(tail_from(sample), np.asarray([-np.log(probability)]))

    assert found == pytest.approx(-np.log(probability), rel=0.08)


def test_equal_scores_are_as_rare_as_all_of_them_together() -> None:
    sample = np.asarray([0.0] * 900 + [1.0] * 100)

    found = rarity(tail_from(sample), np.asarray([0.0, 1.0]))

    assert found[0] == 0.0
    assert found[1] == pytest.approx(-np.log(0.1), rel=0.1)


def test_the_identity_leaves_scores_as_they_are() -> None:
    asked = np.asarray([0.0, 0.3, 1.0, 7.5])
    (table,) = identity(1)
    tail = tail_from(np.ones(3))
    np.testing.assert_allclose(rarity(replace(tail, table=table), asked), asked, rtol=1e-12)


def test_an_alarm_holds_on_until_the_score_is_well_below_the_threshold() -> None:
    detector = a_forecast_detector()

    found = through(detector, faulty(300, start=150, stop=200, size=5.0)).detections

    threshold = detector.calibration.threshold
    alarmed, raw = found.is_anomaly, found.raw_score
    assert alarmed[155:200].all()
    assert not alarmed[:140].any()
    for row in range(1, 300):
        held = alarmed[row - 1] and raw[row] >= HOLD * threshold
        assert alarmed[row] == (raw[row] > threshold or held)


def test_inside_an_alarm_the_anomaly_score_is_what_exceeds_its_worst() -> None:
    found = through(a_forecast_detector(), faulty(300, start=150, stop=200, size=5.0)).detections

    first = int(np.argmax(found.is_anomaly))
    assert found.anomaly_score[first] > 1.0
    assert found.anomaly_score[first + 10 : 200].max() < 1.0
    assert found.is_anomaly[first:200].all()
    # The severity is that of the worst so far: it never falls.
    assert np.all(np.diff(found.severity[first:200].astype(int)) >= 0)


def test_a_refractory_time_silences_what_follows_an_alarm() -> None:
    plain = a_forecast_detector()
    assert plain.decision is not None
    readings = some_readings(200, seed=5, sensors=1)
    values = np.clip(readings.values, -1.5, 1.5)
    values[[100, 140, 180]] = 30.0
    spikes = replace(readings, values=values)
    silent = replace(plain, decision=replace(plain.decision, refractory_rows=60))

    often, seldom = through(plain, spikes).detections, through(silent, spikes).detections

    starts = [np.flatnonzero(found.episode_rows == 1).tolist() for found in (often, seldom)]
    assert starts[0] == [100, 140, 180]
    assert starts[1] == [100, 180]


def test_a_gap_ends_the_alarm_and_lets_smoothed_residuals_and_score_begin_anew() -> None:
    """The row after it is one that the alarm before would have held on to."""
    detector = a_forecast_detector()
    readings = faulty(200, start=150, stop=199, size=5.0)
    values, time = readings.values.copy(), readings.event_time.copy()
    values[199] = [0.0, 4.5, 0.0]
    time[199] += 100_000 * MINUTE
    memory, at_drift = detector.cold(), detector.layout.drift

    fault, gap = scored(replace(readings, values=values, event_time=time), detector, memory, [199])

    threshold = detector.calibration.threshold
    assert fault.detections.is_anomaly[-1]
    assert STATUSES[gap.detections.status[0]] is Status.GAP
    assert HOLD * threshold < gap.detections.raw_score[0] < threshold
    assert not gap.detections.is_anomaly[0]
    assert memory.reals[0, Real.SMOOTHED] == USUAL
    assert not memory.reals[0, at_drift : at_drift + 3].any()
    assert memory.wholes[0, Whole.ALARMED] == 0


def test_the_p_value_of_clean_rows_is_uniform() -> None:
    """Kolmogorov's distance between clean rows never seen and the uniform distribution."""
    detector = a_forecast_detector()
    clean = some_readings(8_000, seed=99)

    found = through(detector, clean).detections

    p_value = np.sort(found.p_value[1_000:])
    distance = np.max(np.abs(p_value - np.arange(1, len(p_value) + 1) / len(p_value)))
    assert distance < 0.08  # 600 calibration rows alone leave 1.63 / sqrt(600) = 0.067
    assert np.all((p_value > 0) & (p_value <= 1))


def test_p_values_fall_as_scores_rise() -> None:
    calibration = a_forecast_detector().calibration
    asked = np.linspace(0, 20, 50)
    assert np.all(np.diff(p_values(asked, calibration)) <= 0)


def test_a_stored_detector_scores_the_same_bits() -> None:
    detector = a_forecast_detector()
    again = detector_of("v", detector.schema, detector.plan, detector.arrays())
    rows = faulty(300, start=100, stop=150, size=4.0)

    one, two = through(detector, rows).detections, through(again, rows).detections

    assert one.raw_score.tobytes() == two.raw_score.tobytes()
    assert one.is_anomaly.tobytes() == two.is_anomaly.tobytes()


def damaged(name: str, array: NDArray[np.generic] | None) -> dict[str, NDArray[np.generic]]:
    arrays = dict(a_forecast_detector().arrays())
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    return arrays


def tables(**changes: float) -> NDArray[np.float64]:
    decision = a_forecast_detector().decision
    assert decision is not None
    changed = decision.tables.copy()
    for place, value in changes.items():
        changed[0, {"first": 0, "scale": KNOTS + 1}[place]] = value
    return changed


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("decision_tables", None),
        ("decision_tables", tables(first=np.nan)),
        ("decision_tables", tables(first=1e9)),
        ("decision_tables", tables(scale=0.0)),
        ("decision_tables", np.zeros((2, 2))),
        ("decision_weights", np.full(4, 0.5)),
        ("decision_refractory", np.asarray([-1])),
        ("forecast_coefficients", np.zeros((3, 3))),
        ("forecast_whitening", np.full((3, 3), np.inf)),
        ("forecast_surprise", None),
        ("level_scale", np.zeros((3, 3))),
        ("level_location", None),
        ("level_sensors", np.asarray(["a", "a"])),
        ("level_limits", np.asarray([-1, 0])),
    ],
)
def test_damaged_arrays_are_refused(name: str, array: NDArray[np.generic] | None) -> None:
    detector = a_forecast_detector()
    arrays = damaged(name, array)

    with pytest.raises(ModelRefused):
        detector_of("v", detector.schema, detector.plan, arrays)


def test_each_part_refuses_what_is_not_there() -> None:
    signals = len(a_forecast_detector().schema.signals)
    for read in (decision_of, lambda arrays: forecast_of(arrays, signals=signals, contexts=0)):
        with pytest.raises(ModelRefused):
            read({})
    with pytest.raises(ModelRefused):
        levels_of({}, 3)


def test_a_component_left_out_says_nothing() -> None:
    """What an ablation relies on."""
    detector = a_forecast_detector()
    assert detector.decision is not None
    nothing = replace(detector.decision, weights=np.zeros(4))
    rows = faulty(300, start=100, stop=150, size=9.0)

    found = through(replace(detector, decision=nothing), rows).detections

    assert not found.is_anomaly[2:].any()
    assert isinstance(nothing, Decision)
    assert len(Table) == len(detector.decision.tables)
