"""The fit of the rate of false episodes."""

import numpy as np
import pytest

from sensorwatch.common.runtime.setting_keys import AlarmSettings, FalseAlarmRates
from sensorwatch.trainer.alarm_fitting import (
    CleanEpisodes,
    budgets_for_fleet,
    episode_peaks,
    fit_alarm_rates,
)


def fit(peaks: list[float] | np.ndarray, rows: int = 100_000):  # type: ignore[no-untyped-def]
    return fit_alarm_rates(
        CleanEpisodes(np.asarray(peaks, dtype=np.float64), rows, 4.0),
        prior_scale=1.0,
        cadence=60e6,
        sensors=50,
        alarm_settings=AlarmSettings(),
    )


@pytest.mark.parametrize("shape", [0.0, 0.1, 0.2])
def test_the_tail_of_many_episodes_is_found(shape: float) -> None:
    uniform = np.random.default_rng(1).random(20_000)
    excess = -np.log(uniform) if shape == 0 else (uniform**-shape - 1.0) / shape

    rates = fit(4.0 + 1.5 * excess)

    assert rates.rate == pytest.approx(0.2, rel=0.01)
    assert rates.shape == pytest.approx(shape, abs=0.03)
    assert rates.scale == pytest.approx(1.5, rel=0.05)


def test_without_episodes_the_tail_is_that_of_the_prior() -> None:
    rates = fit([])

    assert (rates.scale, rates.shape) == (1.0, 0.0)
    assert 0 < rates.rate < 1e-5


def test_a_large_fleet_has_a_smaller_critical_budget() -> None:
    settings = AlarmSettings(max_critical_per_day=2.0)

    assert budgets_for_fleet(settings, 50) == (0.1, 0.03, 0.01)
    assert budgets_for_fleet(settings, 1_000) == (0.1, 0.03, 0.002)


def test_a_severity_has_no_larger_budget_than_the_severity_below() -> None:
    rates = FalseAlarmRates(warning=0.02, major=0.5, critical=0.4)

    assert budgets_for_fleet(AlarmSettings(false_alarms_per_sensor_day=rates), 1) == (
        0.02,
        0.02,
        0.02,
    )


def test_the_peak_of_each_episode_of_each_sensor_is_found() -> None:
    scores = np.asarray([5.0, 1.0, 6.0, 7.0, 2.0, 9.0, 8.0, 1.0])
    slots = np.asarray([0, 1, 0, 1, 0, 1, 0, 1])
    in_alarm = scores > 4.0
    everything = np.ones(8, dtype=np.bool_)

    assert episode_peaks(scores, in_alarm, slots, everything).tolist() == [6.0, 8.0, 9.0]
    # An episode is counted if its first row is included.
    assert episode_peaks(scores, in_alarm, slots, slots == 0).tolist() == [6.0, 8.0]
    assert episode_peaks(scores, scores > 99, slots, everything).tolist() == []
