"""Angles: the detector uses the sine and the cosine, and an event names the declared signal."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.model.angles import model_schema, to_angle, to_model_readings
from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.schema import MAX_SIGNALS, schema_from_plain
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, explain_rows
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.trainer.training import fit_unregistered
from tests.detection.detection_streams import detection_bytes, score_in_batches
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME

SCHEMA = schema_from_plain(
    {
        "key": {"field": "id"},
        "signals": [
            {"name": "speed"},
            {"name": "direction", "wrap": 360, "missing": "hold_last"},
        ],
        "context": [{"name": "hour", "wrap": 24}],
    }
)


def wind_readings(directions: list[float], start: int = 0) -> Readings:
    rows = len(directions)
    speed = np.random.default_rng(start).normal(5.0, 0.5, rows)
    hours = (start + np.arange(rows)) / 60 % 24
    return build_readings(
        index=range(rows),
        event_time=[START_TIME + (start + row) * MINUTE_MICROSECONDS for row in range(rows)],
        sensor_ids=["mast"] * rows,
        values=np.stack([speed, directions, hours], axis=1).tolist(),
        signals=2,
        contexts=1,
    )


def northerly(rows: int, seed: int = 3) -> list[float]:
    """Return directions around north, which often cross from 360 to 0 degrees."""
    directions: list[float] = (np.random.default_rng(seed).normal(0.0, 8.0, rows) % 360).tolist()
    return directions


@cache
def a_wind_detector(features: FeatureKind = FeatureKind.FORECAST) -> Detector:
    settings = TrainerSettings(trees=20, max_samples=64, min_rows=30, features=features)
    return fit_unregistered(wind_readings(northerly(800)), SCHEMA, settings)


def explain(directions: list[float], row: int, detector: Detector) -> SignalReading:
    (outcome,) = score_in_batches(wind_readings(directions, 800), detector, detector.empty_memory())
    (signals,) = explain_rows(detector, outcome, np.asarray([row]))
    assert [signal.name for signal in signals if signal.name != "speed"] == ["direction"]
    assert sum(signal.attribution for signal in signals) == pytest.approx(1.0)
    return next(signal for signal in signals if signal.name == "direction")


def test_the_model_has_a_sine_and_a_cosine_for_each_angle() -> None:
    schema = model_schema(SCHEMA)

    assert schema.signal_names == ("speed", "direction (sin)", "direction (cos)")
    assert schema.context_names == ("hour (sin)", "hour (cos)")
    assert model_schema(schema) is schema


def test_0_and_360_degrees_are_the_same_point() -> None:
    values = to_model_readings(wind_readings([0.0, 360.0, -360.0, 720.0]), SCHEMA).values

    assert values[:, 1].tolist() == [0.0] * 4
    assert values[:, 2].tolist() == [1.0] * 4


@given(st.floats(0, 360, exclude_max=True), st.sampled_from([360.0, 24.0, 1.0, math.tau]))
def test_an_angle_is_computed_from_its_sine_and_cosine(degrees: float, wrap: float) -> None:
    radians = math.radians(degrees)

    angle = to_angle(math.sin(radians), math.cos(radians), wrap)

    assert 0 <= angle < wrap
    distance = abs(angle / wrap - degrees / 360)
    assert min(distance, 1 - distance) < 1e-12


@pytest.mark.parametrize("features", list(FeatureKind))
def test_the_step_from_360_to_0_degrees_raises_no_alarm(features: FeatureKind) -> None:
    directions = northerly(300, seed=9)
    detector = a_wind_detector(features)
    (outcome,) = score_in_batches(wind_readings(directions, 800), detector, detector.empty_memory())

    is_crossing = np.abs(np.diff(directions, prepend=directions[0])) > 180
    assert is_crossing.sum() > 100
    assert outcome.detections.is_anomaly[is_crossing].mean() < 0.05


def test_a_wrong_direction_raises_an_alarm_and_is_named_with_its_angle() -> None:
    directions = northerly(60, seed=9)
    directions[50] = 90.0
    detector = a_wind_detector()
    (outcome,) = score_in_batches(wind_readings(directions, 800), detector, detector.empty_memory())

    signal = explain(directions, 50, detector)

    assert outcome.detections.is_anomaly[50]
    assert signal.attribution > 0.9
    assert (signal.actual, signal.direction) == (90.0, "high")
    assert min(signal.expected, 360 - signal.expected) < 15
    assert signal.expected_low > 300
    assert signal.expected_high < 60


def test_directions_are_compared_along_the_shorter_arc() -> None:
    detector = a_wind_detector()
    directions = northerly(60, seed=9)

    assert explain([*directions[:50], 270.0], 50, detector).direction == "low"
    assert explain([*directions[:50], 1.0], 50, detector).direction == "within"
    assert explain([*directions[:50], 359.0], 50, detector).direction == "within"


@pytest.mark.parametrize("features", list(FeatureKind))
def test_the_event_of_a_plain_model_has_an_angle_too(features: FeatureKind) -> None:
    signal = explain([*northerly(20), 180.0], 20, a_wind_detector(features))

    assert signal.actual == 180.0
    assert min(signal.expected, 360 - signal.expected) < 15


def test_a_missing_angle_is_the_last_angle() -> None:
    signal = explain([10.0, 350.0, float("nan")], 2, a_wind_detector())

    assert signal.held
    assert signal.actual == pytest.approx(350.0)


def test_scores_do_not_depend_on_how_rows_are_cut_into_micro_batches() -> None:
    readings, detector = wind_readings(northerly(100, seed=5), 800), a_wind_detector()
    memories = [detector.empty_memory() for _ in range(2)]

    outcome_in_one_batch, outcome_in_batches = (
        detection_bytes(score_in_batches(readings, detector, memory, ends))
        for memory, ends in zip(memories, [[], range(1, 100)], strict=True)
    )

    assert outcome_in_one_batch == outcome_in_batches
    assert memory_to_bytes(memories[0]) == memory_to_bytes(memories[1])


def test_explanations_do_not_depend_on_the_other_rows() -> None:
    readings, detector = wind_readings(northerly(50, seed=5), 800), a_wind_detector()
    (outcome,) = score_in_batches(readings, detector, detector.empty_memory())
    rows = np.arange(len(readings))

    assert explain_rows(detector, outcome, rows) == [
        explain_rows(detector, outcome, np.asarray([row]))[0] for row in rows
    ]


def test_a_typical_value_is_an_angle() -> None:
    speed, direction = a_wind_detector().typical_values

    assert speed == pytest.approx(5.0, abs=0.2)
    assert min(direction, 360 - direction) < 3


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ([{"name": "a", "wrap": 0}], "greater than 0"),
        ([{"name": "a", "wrap": 360, "kind": "counter"}], "counter cannot have wrap"),
        ([{"name": "a", "wrap": 360}, {"name": "a (sin)"}], "must be distinct"),
    ],
)
def test_an_inconsistent_declaration_is_refused(
    signals: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        schema_from_plain({"signals": signals})


def test_a_schema_without_angles_and_counters_keeps_its_readings() -> None:
    schema = schema_from_plain({"signals": [{"name": "speed"}, {"name": "direction"}]})
    readings = replace(wind_readings([1.0]), context=np.empty((1, 0)))

    assert to_model_readings(readings, schema) is readings
    assert model_schema(schema) is schema


def test_the_model_schema_has_the_positions_of_its_own_columns() -> None:
    speed = {"name": "speed", "missing": "hold_last", "missing_values": [-999]}
    schema = schema_from_plain({"signals": [{"name": "direction", "wrap": 360}, speed]})

    assert schema.missing_numbers == ((1, (-999.0,)),)
    assert model_schema(schema).missing_numbers == ((2, (-999.0,)),)


def test_a_schema_with_the_maximum_of_angles_has_a_model_schema() -> None:
    angles = [{"name": f"a{number}", "wrap": 360} for number in range(MAX_SIGNALS)]

    assert len(model_schema(schema_from_plain({"signals": angles})).signals) == 2 * MAX_SIGNALS
