"""The plain feature plan: its features, and its form in a manifest."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.plan import PLAN_VERSION, plain_plan, plan_from_plain
from sensorwatch.common.scoring.features import compute_features, day_of_week, hour
from tests.reading_builders import a_schema, some_readings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@settings(max_examples=300, deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_hour_and_day_of_week_equal_those_of_the_calendar(instant: datetime) -> None:
    """Event times from the year 1 to 9999 are allowed; times before 1970 are negative numbers."""
    event_time = np.asarray([(instant - EPOCH) // timedelta(microseconds=1)])

    assert hour(event_time)[0] == instant.hour
    assert day_of_week(event_time)[0] == instant.weekday()


def test_the_plain_plan_has_the_signals_then_hour_and_day_of_week() -> None:
    readings = some_readings(200)
    plan = plain_plan(a_schema())

    feature_matrix = compute_features(readings, plan)

    assert tuple(feature.name for feature in plan.features) == (
        "x1",
        "x2",
        "x3",
        "hour",
        "dayofweek",
    )
    assert np.array_equal(feature_matrix[:, :3], readings.values)
    assert np.array_equal(feature_matrix[:, 3], hour(readings.event_time))
    assert np.array_equal(feature_matrix[:, 4], day_of_week(readings.event_time))


@settings(max_examples=30, deadline=None)
@given(boundary=st.integers(0, 200))
def test_features_do_not_depend_on_micro_batch_boundaries(boundary: int) -> None:
    readings = some_readings(200)
    plan = plain_plan(a_schema())
    expected_features = compute_features(readings, plan)

    first_batch = compute_features(readings.take(slice(0, boundary)), plan)
    second_batch = compute_features(readings.take(slice(boundary, None)), plan)

    assert np.concatenate([first_batch, second_batch]).tobytes() == expected_features.tobytes()


def test_a_plan_is_restored_from_a_manifest() -> None:
    plan = plain_plan(a_schema())

    assert plan_from_plain(plan.to_plain(), a_schema()) == plan


@pytest.mark.parametrize(
    "changed_fields",
    [
        {"version": PLAN_VERSION + 1},
        {"version": "new"},
        {"features": [{"name": "x", "kind": "magic", "signal": 0}]},
        {"features": [{"name": "x9", "kind": "signal", "signal": 3}]},
        {"features": [{"name": "x9", "kind": "signal", "signal": -1}]},
        {"features": None},
        {"features": [{"name": "x1"}]},
    ],
    ids=str,
)
def test_an_invalid_plan_is_refused(changed_fields: dict[str, object]) -> None:
    with pytest.raises(ModelRefused):
        plan_from_plain(plain_plan(a_schema()).to_plain() | changed_fields, a_schema())
