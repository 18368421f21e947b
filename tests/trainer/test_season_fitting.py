"""A season is taken where whole cycles show one, and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.model.season import DAY, WEEK
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import NumericColumn, Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.season_fitting import fit_season
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import START

HOUR = DAY // 24
MIDNIGHT = START - START % DAY
Times = NDArray[np.int64]
ResidualArray = NDArray[np.float64]


def hours(days: int, per_day: int = 24) -> Times:
    return MIDNIGHT + DAY // per_day * np.arange(days * per_day, dtype=np.int64)


def noise(n: int, seed: int, signals: int = 1) -> ResidualArray:
    return np.random.default_rng(seed).normal(size=(n, signals))


def eight_oclock_peak(times: Times) -> ResidualArray:
    return np.asarray(6.0 * (times // HOUR % 24 == 8)[:, np.newaxis])


@pytest.mark.parametrize(("days", "per_day"), [(3, 288), (20, 24), (100, 24), (30, 4)])
@pytest.mark.parametrize("kind", ["whitened", "walking", "heavy"])
def test_chance_is_no_season(days: int, per_day: int, kind: str) -> None:
    times = hours(days, per_day)
    seasons_fitted = 0
    for seed in range(10):
        residuals = noise(len(times), seed)
        if kind == "walking":
            for row in range(1, len(residuals)):
                residuals[row] += 0.9 * residuals[row - 1]
        if kind == "heavy":
            residuals = np.random.default_rng(seed).standard_t(3, size=residuals.shape)
        seasons_fitted += fit_season(residuals, times, DAY / per_day).is_present
    assert seasons_fitted <= 1


def test_a_sharp_hour_is_one_and_only_its_signal_has_it() -> None:
    times = hours(20)
    residuals = noise(len(times), 1, signals=2)
    residuals[:, :1] += eight_oclock_peak(times)

    season = fit_season(residuals, times, HOUR)

    assert season.period == DAY
    assert season.profile.shape == (2, 24)
    assert season.profile[0, 8] == pytest.approx(6.0, abs=0.8)
    assert np.abs(np.delete(season.profile[0], 8)).max() < 1.0
    assert not season.profile[1].any()
    np.testing.assert_array_equal(season.at(times[8:9]), season.profile[:, 8][np.newaxis])


def test_what_comes_on_working_days_only_is_a_week() -> None:
    times = hours(70)
    residuals = (
        noise(len(times), 1) + eight_oclock_peak(times) * (times // DAY % 7 < 5)[:, np.newaxis]
    )

    season = fit_season(residuals, times, HOUR)

    assert (season.period, season.profile.shape) == (WEEK, (1, 168))


def test_less_than_three_cycles_show_nothing() -> None:
    times = hours(3)[:-3]
    assert not fit_season(noise(len(times), 1) + eight_oclock_peak(times), times, HOUR).is_present
    times = hours(3)
    assert fit_season(noise(len(times), 1) + eight_oclock_peak(times), times, HOUR).is_present


def test_one_bad_day_is_no_season_and_moves_none() -> None:
    times = hours(20)
    clean = noise(len(times), 1) + eight_oclock_peak(times)
    bad = clean.copy()
    bad[5 * 24 : 6 * 24] += 50.0

    found = fit_season(bad, times, HOUR).profile

    np.testing.assert_allclose(found, fit_season(clean, times, HOUR).profile, atol=0.7)
    only_bad = noise(len(times), 1)
    only_bad[5 * 24 : 6 * 24] += 50.0
    assert not fit_season(only_bad, times, HOUR).is_present


def test_bins_are_no_shorter_than_a_step_and_rows_may_be_missing() -> None:
    times = hours(40)
    there = np.random.default_rng(2).random(len(times)) < 0.6
    residuals = (noise(len(times), 1) + eight_oclock_peak(times))[there]

    assert fit_season(residuals, times[there], HOUR).profile.shape == (1, 24)
    assert not fit_season(residuals, times[there], 2 * HOUR).is_present


@pytest.mark.parametrize("step", [0.0, float(HOUR)])
def test_two_rows_show_nothing(step: float) -> None:
    assert not fit_season(np.zeros((2, 1)), hours(1)[:2], step).is_present


def stream(days: int, seed: int, height: float = 25.0) -> tuple[Times, ResidualArray]:
    times = hours(days)
    values = noise(len(times), seed)
    for row in range(1, len(values)):
        values[row] += 0.5 * values[row - 1]
    return times, values + height / 6.0 * eight_oclock_peak(times)


def readings(times: Times, values: ResidualArray) -> Readings:
    n = len(times)
    return Readings(
        np.arange(n), times, np.zeros(n, dtype=np.int32), ("s",), values, np.empty((n, 0))
    )


Change = Callable[[ResidualArray, NDArray[np.int64]], None]


def at_the_wrong_hour(values: ResidualArray, days: NDArray[np.int64]) -> None:
    values[24 * days + 15] += 25.0


def missing(values: ResidualArray, days: NDArray[np.int64]) -> None:
    values[24 * days + 8] -= 25.0


@pytest.mark.parametrize("change", [at_the_wrong_hour, missing])
def test_what_comes_at_the_wrong_hour_or_not_at_all_is_found(change: Change) -> None:
    """One signal, a row an hour: what the last two rows cannot tell."""
    times, values = stream(220, seed=2)
    fit, schema = 20 * 24, Schema(signals=(NumericColumn(name="x1"),))
    detector = fit_unregistered(
        readings(times[:fit], values[:fit]), schema, TrainerSettings(trees=30)
    )
    days = np.arange(30, 200, 7)
    clean = detector.detect(
        readings(times, values), detector.empty_memory(), positions=np.arange(len(times))
    )
    change(values, days)
    faulty = detector.detect(
        readings(times, values), detector.empty_memory(), positions=np.arange(len(times))
    )

    hit = faulty.detections.is_anomaly.reshape(-1, 24)[days].any(axis=1)
    assert hit.mean() >= 0.9
    assert clean.detections.is_anomaly[fit:].mean() < 0.03
