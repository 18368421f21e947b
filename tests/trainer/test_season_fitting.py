"""A season is fitted only if it repeats in the rows of at least three complete cycles."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.model.season import DAY, WEEK
from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.season_cycles import Cycle
from sensorwatch.trainer.season_fitting import fit_season
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import START_TIME

HOUR = DAY // 24
MIDNIGHT = START_TIME - START_TIME % DAY
TimeArray = NDArray[np.int64]
ResidualArray = NDArray[np.float64]


def regular_times(days: int, rows_per_day: int = 24) -> TimeArray:
    return MIDNIGHT + DAY // rows_per_day * np.arange(days * rows_per_day, dtype=np.int64)


def white_noise(n: int, seed: int, signals: int = 1) -> ResidualArray:
    return np.random.default_rng(seed).normal(size=(n, signals))


def peak_at_eight(times: TimeArray) -> ResidualArray:
    return np.asarray(6.0 * (times // HOUR % 24 == 8)[:, np.newaxis])


@pytest.mark.parametrize(("days", "rows_per_day"), [(3, 288), (20, 24), (100, 24), (30, 4)])
@pytest.mark.parametrize("kind", ["whitened", "autocorrelated", "heavy_tailed"])
def test_noise_has_no_season(days: int, rows_per_day: int, kind: str) -> None:
    times = regular_times(days, rows_per_day)
    seasons_fitted = 0
    for seed in range(10):
        residuals = white_noise(len(times), seed)
        if kind == "autocorrelated":
            for row in range(1, len(residuals)):
                residuals[row] += 0.9 * residuals[row - 1]
        if kind == "heavy_tailed":
            residuals = np.random.default_rng(seed).standard_t(3, size=residuals.shape)
        seasons_fitted += fit_season(residuals, times, DAY / rows_per_day).season.is_present
    assert seasons_fitted <= 1


def test_a_daily_peak_is_a_season_of_its_signal_only() -> None:
    times = regular_times(20)
    residuals = white_noise(len(times), 1, signals=2)
    residuals[:, :1] += peak_at_eight(times)

    season = fit_season(residuals, times, HOUR).season

    assert season.period == DAY
    assert season.profile.shape == (2, 24)
    assert season.profile[0, 8] == pytest.approx(6.0, abs=0.8)
    assert np.abs(np.delete(season.profile[0], 8)).max() < 1.0
    assert not season.profile[1].any()
    np.testing.assert_array_equal(season.at(times[8:9]), season.profile[:, 8][np.newaxis])


def test_a_peak_on_working_days_is_a_weekly_season() -> None:
    times = regular_times(70)
    residuals = (
        white_noise(len(times), 1) + peak_at_eight(times) * (times // DAY % 7 < 5)[:, np.newaxis]
    )

    season = fit_season(residuals, times, HOUR).season

    assert (season.period, season.profile.shape) == (WEEK, (1, 168))


def test_fewer_than_three_cycles_give_no_season() -> None:
    times = regular_times(3)[:-3]
    assert not fit_season(
        white_noise(len(times), 1) + peak_at_eight(times), times, HOUR
    ).season.is_present
    times = regular_times(3)
    assert fit_season(
        white_noise(len(times), 1) + peak_at_eight(times), times, HOUR
    ).season.is_present


def test_one_faulty_day_neither_makes_nor_changes_a_season() -> None:
    times = regular_times(20)
    residuals_without_fault = white_noise(len(times), 1) + peak_at_eight(times)
    residuals_with_fault = residuals_without_fault.copy()
    residuals_with_fault[5 * 24 : 6 * 24] += 50.0

    profile = fit_season(residuals_with_fault, times, HOUR).season.profile

    np.testing.assert_allclose(
        profile, fit_season(residuals_without_fault, times, HOUR).season.profile, atol=0.7
    )
    residuals_without_season = white_noise(len(times), 1)
    residuals_without_season[5 * 24 : 6 * 24] += 50.0
    assert not fit_season(residuals_without_season, times, HOUR).season.is_present


def test_bins_are_at_least_a_step_long_and_rows_may_be_missing() -> None:
    times = regular_times(40)
    is_present_row = np.random.default_rng(2).random(len(times)) < 0.6
    residuals = (white_noise(len(times), 1) + peak_at_eight(times))[is_present_row]

    assert fit_season(residuals, times[is_present_row], HOUR).season.profile.shape == (1, 24)
    assert not fit_season(residuals, times[is_present_row], 2 * HOUR).season.is_present


@pytest.mark.parametrize("step", [0.0, float(HOUR)])
def test_two_rows_give_no_season(step: float) -> None:
    assert not fit_season(np.zeros((2, 1)), regular_times(1)[:2], step).season.is_present


def rows_with_peak(
    days: int, seed: int, peak_height: float = 25.0
) -> tuple[TimeArray, ResidualArray]:
    times = regular_times(days)
    values = white_noise(len(times), seed)
    for row in range(1, len(values)):
        values[row] += 0.5 * values[row - 1]
    return times, values + peak_height / 6.0 * peak_at_eight(times)


def readings_of(times: TimeArray, values: ResidualArray) -> Readings:
    n = len(times)
    return Readings(
        np.arange(n), times, np.zeros(n, dtype=np.int32), ("s",), values, np.empty((n, 0))
    )


ChangeValues = Callable[[ResidualArray, NDArray[np.int64]], None]


def add_peaks_at_the_wrong_hour(values: ResidualArray, days: NDArray[np.int64]) -> None:
    values[24 * days + 15] += 25.0


def remove_peaks(values: ResidualArray, days: NDArray[np.int64]) -> None:
    values[24 * days + 8] -= 25.0


@pytest.mark.parametrize("change_values", [add_peaks_at_the_wrong_hour, remove_peaks])
def test_a_peak_at_the_wrong_hour_or_a_missing_peak_alarms(change_values: ChangeValues) -> None:
    """With one row per hour, the preceding rows alone cannot predict the peak."""
    times, values = rows_with_peak(220, seed=2)
    fit_rows, schema = 20 * 24, Schema(signals=(NumericColumn(name="x1"),))
    detector = fit_unregistered(
        readings_of(times[:fit_rows], values[:fit_rows]), schema, TrainerSettings(trees=30)
    )
    days = np.arange(30, 200, 7)
    clean_result = detector.detect(
        readings_of(times, values), detector.empty_memory(), positions=np.arange(len(times))
    )
    change_values(values, days)
    faulty_result = detector.detect(
        readings_of(times, values), detector.empty_memory(), positions=np.arange(len(times))
    )

    is_day_detected = faulty_result.detections.is_anomaly.reshape(-1, 24)[days].any(axis=1)
    assert is_day_detected.mean() >= 0.9
    assert clean_result.detections.is_anomaly[fit_rows:].mean() < 0.03


def test_two_weeks_are_enough_for_a_profile_of_weekends() -> None:
    times = regular_times(17)
    day_of_week = (times // DAY + 3) % 7
    peak = peak_at_eight(times) * (day_of_week < 5)[:, np.newaxis]

    fit = fit_season(white_noise(len(times), 1) + peak, times, HOUR)

    assert fit.chosen_cycle is not None
    assert fit.chosen_cycle.cycle is Cycle.DAY_TYPE
    assert (fit.season.period, fit.season.profile.shape) == (WEEK, (1, 168))
    later_times = regular_times(28)[17 * 24 :]
    expected_peak = peak_at_eight(later_times) * ((later_times // DAY + 3) % 7 < 5)[:, np.newaxis]
    assert np.abs(fit.season.at(later_times) - expected_peak).max() < 1.5


def test_equal_days_are_not_divided_into_working_days_and_weekends() -> None:
    times = regular_times(17)
    cycles = [
        fit_season(white_noise(len(times), seed) + peak_at_eight(times), times, HOUR).chosen_cycle
        for seed in range(10)
    ]
    assert sum(fit is not None and fit.cycle is Cycle.DAY for fit in cycles) >= 9
