"""A season is stored, restored, and added to the forecast."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.civil_clock import civil_clock
from sensorwatch.common.model.season import (
    DAY,
    WEEK,
    Season,
    bins_at,
    no_season,
    season_from_arrays,
)
from sensorwatch.common.scoring.recall import recall
from sensorwatch.common.scoring.residuals import compute_residuals
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.scoring.stored_detector import detector_from_arrays
from tests.reading_builders import some_readings
from tests.scoring.detectors import a_forecast_detector

SCORED_STATUS = STATUSES.index(Status.SCORED)


def a_season(period: int = DAY, bins: int = 24) -> Season:
    return Season(np.random.default_rng(4).normal(size=(3, bins)), period)


def test_a_season_is_restored_from_its_arrays() -> None:
    season = a_season(WEEK, 168)

    restored_season = season_from_arrays(season.arrays(), 3)

    assert restored_season.period == WEEK
    np.testing.assert_array_equal(restored_season.profile, season.profile)


def test_a_season_is_restored_with_its_civil_time() -> None:
    season = replace(a_season(), clock=civil_clock("Europe/Berlin"))
    times = np.arange(0, 800 * DAY, DAY // 5)

    restored_season = season_from_arrays(season.arrays(), 3)

    np.testing.assert_array_equal(restored_season.phases(times), season.phases(times))
    assert (season.phases(times) != a_season().phases(times)).all()


def test_a_model_without_a_season_stores_no_season_arrays() -> None:
    assert no_season(3).arrays() == {}
    assert not season_from_arrays({}, 3).is_present


@pytest.mark.parametrize(
    "changed_arrays",
    [
        {"season_period": None},
        {"season_profile": None},
        {"season_period": np.asarray([0])},
        {"season_period": np.asarray([DAY, DAY])},
        {"season_period": np.asarray([1.0])},
        {"season_profile": np.zeros((2, 24))},
        {"season_profile": np.zeros((3, 24), dtype=np.float32)},
        {"season_profile": np.full((3, 24), np.nan)},
        {"season_profile": np.zeros((3, 10_000))},
        {"season_profile": np.zeros((3, 0))},
    ],
)
def test_a_wrong_array_is_refused_by_its_name(
    changed_arrays: dict[str, NDArray[Any] | None],
) -> None:
    arrays = {**a_season().arrays(), **changed_arrays}
    (name,) = changed_arrays

    with pytest.raises(ModelRefused, match=f'the array "{name}" '):
        season_from_arrays({name: array for name, array in arrays.items() if array is not None}, 3)


def test_a_detector_is_restored_with_its_season() -> None:
    detector = a_forecast_detector()
    assert detector.forecast is not None
    seasonal_detector = replace(detector, forecast=replace(detector.forecast, season=a_season()))

    restored_detector = detector_from_arrays(
        "v", seasonal_detector.schema, seasonal_detector.plan, seasonal_detector.arrays()
    )

    assert restored_detector.forecast is not None
    np.testing.assert_array_equal(restored_detector.forecast.season.profile, a_season().profile)


def test_the_forecast_adds_the_season_at_the_event_time() -> None:
    detector = a_forecast_detector()
    assert detector.forecast is not None
    recalled_rows = recall(
        some_readings(400),
        detector.levels,
        detector.levels.level_by_sensor,
        detector.empty_memory(),
    )
    residuals_without_season = compute_residuals(detector.forecast, recalled_rows)

    season = a_season(bins=96)
    residuals_with_season = compute_residuals(
        replace(detector.forecast, season=season), recalled_rows
    )

    is_scored = recalled_rows.status == SCORED_STATUS
    assert is_scored.sum() > 100
    seasonal_values = np.where(is_scored[:, np.newaxis], season.at(recalled_rows.event_time), 0.0)
    np.testing.assert_allclose(
        residuals_with_season.expected,
        residuals_without_season.expected + seasonal_values,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        residuals_with_season.residual,
        residuals_without_season.residual - seasonal_values,
        atol=1e-12,
    )


def test_times_before_1970_are_in_the_correct_bins() -> None:
    quarter_day = DAY // 4
    times = np.asarray([-1, 0, quarter_day - 1, quarter_day, DAY - 1, DAY])
    assert bins_at(times, DAY, 4).tolist() == [3, 0, 0, 1, 3, 0]
