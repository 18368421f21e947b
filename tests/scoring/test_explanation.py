"""What each signal of a row was, beside what was expected of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import BAND, Direction, SignalReading, signals_of_rows
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.recall import squash
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.detection.detection_streams import scored, untidy_streams
from tests.reading_builders import a_detector, some_readings
from tests.scoring.detectors import DETECTORS, a_forecast_detector


def outcome_of(values: list[list[float]], detector: Detector) -> Outcome:
    """Score rows of s0, one a minute."""
    readings = replace(
        some_readings(len(values), sensors=1), values=np.asarray(values, dtype=np.float64)
    )
    return score_readings(readings, [], detector, detector.cold())


def described(outcome: Outcome, detector: Detector) -> list[list[SignalReading]]:
    return signals_of_rows(detector, outcome, np.arange(len(outcome.readings)))


def by_name(row: list[SignalReading]) -> dict[str, SignalReading]:
    return {signal.name: signal for signal in row}


def test_a_value_outside_of_the_training_band_is_low_or_high_and_the_ends_are_within() -> None:
    detector = a_detector()
    low, high = detector.ranges.low, detector.ranges.high
    values = [low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf)]

    rows = described(outcome_of([row.tolist() for row in values], detector), detector)

    assert [[signal.direction for signal in row] for row in rows] == [
        [Direction.WITHIN] * 3,
        [Direction.WITHIN] * 3,
        [Direction.LOW] * 3,
        [Direction.HIGH] * 3,
    ]


def test_of_a_plain_model_each_signal_stands_with_its_own_training_range() -> None:
    detector = a_detector()
    ranges = detector.ranges

    (row,) = described(outcome_of([[0.1, 0.2, 9.0]], detector), detector)

    assert row[0].name == "x3"  # the only one that is far out
    found = by_name(row)
    assert sorted(found) == ["x1", "x2", "x3"]
    assert [found[name].actual for name in ("x1", "x2", "x3")] == [0.1, 0.2, 9.0]
    assert (found["x2"].expected_low, found["x2"].expected, found["x2"].expected_high) == (
        ranges.low[1],
        ranges.expected[1],
        ranges.high[1],
    )


def test_without_memory_the_sensor_s_level_is_expected() -> None:
    detector = a_forecast_detector()

    outcome = outcome_of([[0.1, 0.2, 30.0]], detector)
    (row,) = described(outcome, detector)

    assert STATUSES[outcome.detections.status[0]] is Status.WARMING_UP
    assert row[0].name == "x3"
    levels, line = detector.levels, detector.levels.known["s0"]
    for column, signal in enumerate(by_name(row)[name] for name in ("x1", "x2", "x3")):
        location, scale = levels.location[line, column], levels.scale[line, column]
        assert signal.expected == location
        assert signal.expected_low == pytest.approx(location - BAND * scale)
        assert signal.expected_high == pytest.approx(location + BAND * scale)


def test_with_memory_about_99_percent_of_clean_rows_lie_within_their_band() -> None:
    detector = a_forecast_detector()
    clean = some_readings(3_000, seed=11)
    outcome = score_readings(clean, [], detector, detector.cold())

    rows = described(outcome, detector)

    assert (outcome.detections.status == STATUSES.index(Status.SCORED)).mean() > 0.99
    within = [signal.direction == Direction.WITHIN for row in rows for signal in row]
    assert 0.98 < np.mean(within) < 0.996


def test_a_forecast_far_out_comes_back_in_the_signal_s_unit() -> None:
    """Of a sensor far from where it was, the forecast is far too: it is squashed and undone."""
    detector = a_forecast_detector()
    outcome = outcome_of([[0.0, 0.0, 0.0]] * 4 + [[500.0, 0.0, 0.0]] * 3, detector)
    evidence = outcome.detections.evidence

    row = by_name(described(outcome, detector)[-1])

    level, scale = evidence.location[-1, 0], evidence.scale[-1, 0]
    again = squash((row["x1"].expected - level) / scale)
    assert again == pytest.approx(evidence.expected[-1, 0], rel=1e-9)


def test_what_the_schema_forbids_is_never_expected() -> None:
    detector = a_forecast_detector()
    first, *others = detector.schema.signals
    bounded = first.model_copy(update={"min": -0.5, "max": 0.5})
    schema = detector.schema.model_copy(update={"signals": (bounded, *others)})

    rows = described(outcome_of([[0.4, 0.0, 0.0]] * 5, detector), replace(detector, schema=schema))

    for row in rows:
        x1 = by_name(row)["x1"]
        assert (x1.expected_low, x1.expected_high) == (-0.5, 0.5)
        assert x1.direction == Direction.WITHIN


def test_a_held_value_is_marked() -> None:
    detector = a_forecast_detector()

    _, row = described(outcome_of([[0.5, 0.0, 0.0], [math.nan, 0.0, 9.0]], detector), detector)

    found = by_name(row)
    assert [found[name].held for name in ("x1", "x2", "x3")] == [True, False, False]
    assert found["x1"].actual == 0.5


@pytest.mark.parametrize("kind", DETECTORS)
def test_no_rows_have_no_descriptions(kind: str) -> None:
    detector = DETECTORS[kind]()

    outcome = outcome_of([[0.0, 0.0, 0.0]], detector)

    assert signals_of_rows(detector, outcome, np.empty(0, dtype=np.int64)) == []


@pytest.mark.parametrize("kind", DETECTORS)
@given(readings=untidy_streams(), data=st.data())
def test_any_row_s_attributions_are_sorted_shares_and_all_numbers_finite(
    kind: str, readings: Readings, data: st.DataObject
) -> None:
    detector = DETECTORS[kind]()
    readings = replace(readings, values=np.nan_to_num(readings.values, nan=data.draw(_WILD)))

    (outcome,) = scored(readings, detector, detector.cold())

    for row in described(outcome, detector):
        shares = [signal.attribution for signal in row]
        assert shares == sorted(shares, reverse=True)
        assert all(0.0 <= share <= 1.0 for share in shares)
        assert abs(sum(shares) - 1.0) <= 1e-9
        for signal in row:
            assert math.isfinite(signal.expected_low)
            assert math.isfinite(signal.expected_high)
            assert signal.expected_low <= signal.expected <= signal.expected_high


_WILD = st.sampled_from([0.0, 3e38, -3e38, 1e-300])


@pytest.mark.parametrize("kind", DETECTORS)
@given(readings=untidy_streams(), data=st.data())
def test_the_reasons_have_the_same_bits_for_any_cut(
    kind: str, readings: Readings, data: st.DataObject
) -> None:
    detector = DETECTORS[kind]()
    if kind == "plain":  # it has no rule for what is missing
        readings = replace(readings, values=np.nan_to_num(readings.values, nan=0.0))
    cuts = data.draw(st.lists(st.integers(0, len(readings)), max_size=6))

    (whole,) = scored(readings, detector, detector.cold())
    parts = scored(readings, detector, detector.cold(), cuts)

    alone = [
        signals_of_rows(detector, part, np.asarray([row], dtype=np.int64))[0]
        for part in parts
        for row in range(len(part.readings))
    ]
    # repr tells every bit of a float, and NaN is never equal.
    assert repr(alone) == repr(described(whole, detector))
