"""Training learns each sensor's cadence, and a gap factor from the regularity of its rows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.trainer.cadence_fitting import Cadences, fit_cadences

SECOND = 1_000_000


def fit_intervals(*interval_lists: list[int]) -> Cadences:
    """Fit sensors with these intervals, in seconds."""
    times = [np.cumsum([0, *intervals]) * SECOND for intervals in interval_lists]
    starts = np.cumsum([0, *(len(sensor_times) for sensor_times in times)])
    rows: list[NDArray[np.int64]] = [
        np.arange(start, start + len(sensor_times))
        for start, sensor_times in zip(starts[:-1], times, strict=True)
    ]
    return fit_cadences(np.concatenate(times), rows)


def test_each_sensor_has_its_own_cadence() -> None:
    cadences = fit_intervals([1] * 5_000, [600] * 50)

    assert cadences.cadence.tolist() == [0, 1 * SECOND, 600 * SECOND]
    assert cadences.gap_factor.tolist() == [10, 10, 10]


@pytest.mark.parametrize("rows", [50, 5_000])
def test_a_few_outages_in_training_change_nothing(rows: int) -> None:
    cadences = fit_intervals([60] * rows + [86_400] * 3 + [60] * rows)

    assert (cadences.cadence[1], cadences.gap_factor[1]) == (60 * SECOND, 10)


def test_a_sensor_with_irregular_rows_has_a_larger_gap_factor_than_others() -> None:
    """Every tenth interval of the second sensor is thirty times as long as the others."""
    cadences = fit_intervals([1] * 5_000, ([60] * 9 + [1_800]) * 30)

    assert cadences.cadence.tolist() == [0, 1 * SECOND, 60 * SECOND]
    assert cadences.gap_factor[1] == 10
    assert cadences.gap_factor[2] == 3 * 30


def test_a_sensor_with_too_few_intervals_has_no_cadence() -> None:
    cadences = fit_intervals([60] * 9, [1] * 50)

    assert cadences.cadence.tolist() == [0, 0, SECOND]


def test_rows_with_equal_times_form_no_interval() -> None:
    assert fit_intervals([0, 0, 5] * 20).cadence.tolist() == [0, 5 * SECOND]


def test_the_median_of_an_even_number_of_intervals_is_between_the_middle_two() -> None:
    assert fit_intervals([2] * 10 + [4] * 10).cadence[1] == 3 * SECOND


def test_without_any_interval_the_default_gap_factor_applies() -> None:
    assert fit_intervals([], []).gap_factor.tolist() == [10, 10, 10]
