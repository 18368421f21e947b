"""A season as it is stored, and as a forecast takes it in."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.season import DAY, WEEK, Season, bins_at, no_season, season_of
from sensorwatch.common.scoring.detector import detector_of
from sensorwatch.common.scoring.recall import recall
from sensorwatch.common.scoring.residuals import residuals
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.reading_builders import some_readings
from tests.scoring.detectors import a_forecast_detector

SCORED = STATUSES.index(Status.SCORED)


def a_season(period: int = DAY, bins: int = 24) -> Season:
    return Season(np.random.default_rng(4).normal(size=(3, bins)), period)


def test_it_comes_back_from_its_arrays() -> None:
    season = a_season(WEEK, 168)

    found = season_of(season.arrays(), 3)

    assert found.period == WEEK
    np.testing.assert_array_equal(found.profile, season.profile)


def test_without_one_nothing_is_stored() -> None:
    assert no_season(3).arrays() == {}
    assert not season_of({}, 3).shown


PERIOD = np.asarray([DAY])


@pytest.mark.parametrize(
    "change",
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
def test_damaged_arrays_are_refused(change: dict[str, NDArray[Any] | None]) -> None:
    arrays = {**a_season().arrays(), **change}
    with pytest.raises(ModelRefused):
        season_of({name: array for name, array in arrays.items() if array is not None}, 3)


def test_a_model_keeps_its_season() -> None:
    detector = a_forecast_detector()
    assert detector.forecast is not None
    seasonal = replace(detector, forecast=replace(detector.forecast, season=a_season()))

    found = detector_of("v", seasonal.schema, seasonal.plan, seasonal.arrays())

    assert found.forecast is not None
    np.testing.assert_array_equal(found.forecast.season.profile, a_season().profile)


def test_a_forecast_takes_it_in_at_the_rows_time() -> None:
    detector = a_forecast_detector()
    assert detector.forecast is not None
    recalled = recall(some_readings(400), detector.levels, detector.levels.known, detector.cold())
    plain = residuals(detector.forecast, recalled)

    season = a_season(bins=96)
    found = residuals(replace(detector.forecast, season=season), recalled)

    scored = recalled.status == SCORED
    assert scored.sum() > 100
    added = np.where(scored[:, np.newaxis], season.at(recalled.event_time), 0.0)
    np.testing.assert_allclose(found.expected, plain.expected + added, atol=1e-12)
    np.testing.assert_allclose(found.residual, plain.residual - added, atol=1e-12)


def test_bins_go_on_before_1970() -> None:
    quarter = DAY // 4
    times = np.asarray([-1, 0, quarter - 1, quarter, DAY - 1, DAY])
    assert bins_at(times, DAY, 4).tolist() == [3, 0, 0, 1, 3, 0]
