"""Fit the rate of false alarms to the episodes of clean rows outside the fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import SHAPE_RANGE, AlarmRates
from sensorwatch.common.model.season import DAY
from sensorwatch.common.runtime.setting_keys import AlarmSettings

PRIOR_EPISODES = 10.0
"""The prior scale has the weight of this number of episodes in the fit of the tail's scale."""
PRIOR_SHAPE_EPISODES = 50.0
"""The shape 0 has the weight of this number of episodes in the fit of the tail's shape."""
MIN_SHAPE_EPISODES = 20
"""Smallest number of episodes from which the shape of the tail is fitted; with fewer, it is 0."""


@dataclass(frozen=True, slots=True)
class CleanEpisodes:
    """The episodes among clean rows that the model was not fitted on."""

    peaks: NDArray[np.float64]
    """Shape (episodes,). Highest score of each episode, all above `start`."""
    rows: int
    """Number of clean rows."""
    start: float
    """Score above which an episode was opened."""


def fit_alarm_rates(
    episodes: CleanEpisodes,
    *,
    prior_scale: float,
    cadence: float,
    sensors: int,
    alarm_settings: AlarmSettings,
) -> AlarmRates:
    """Fit the tail of the peak scores of episodes among clean rows.

    `prior_scale`: expected scale of the tail; it has more weight if there are few episodes.
    `cadence`: typical interval between two rows of a sensor, in microseconds.
    """
    excesses = np.sort(episodes.peaks - episodes.start)
    count = len(excesses)
    shape = _moment_shape(excesses) * count / (count + PRIOR_SHAPE_EPISODES)
    shape = min(max(shape, SHAPE_RANGE[0]), SHAPE_RANGE[1])
    scale = float(excesses.mean()) * (1.0 - shape) if count else prior_scale
    scale = (count * scale + PRIOR_EPISODES * prior_scale) / (count + PRIOR_EPISODES)
    return AlarmRates(
        start=episodes.start,
        rate=(count + 0.5) / max(episodes.rows, 1),
        scale=scale,
        shape=shape,
        cadence=cadence,
        budgets=np.asarray(budgets_for_fleet(alarm_settings, sensors)),
    )


def budgets_for_fleet(alarm_settings: AlarmSettings, sensors: int) -> tuple[float, float, float]:
    """Return the budgets of `warning`, `major` and `critical` for a fleet of `sensors` sensors.

    The unit is false episodes per sensor-day. The budget of a severity is never larger than the
    budget of the severity below it.
    """
    rates = alarm_settings.false_alarms_per_sensor_day
    critical_budget = min(rates.critical, alarm_settings.max_critical_per_day / max(sensors, 1))
    major_budget = min(rates.major, rates.warning)
    return rates.warning, major_budget, min(critical_budget, major_budget)


def episode_peaks(
    scores: NDArray[np.float64],
    in_alarm: NDArray[np.bool_],
    slots: NDArray[np.int64],
    included_rows: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the highest score (episodes,) of each episode that begins in an included row.

    `scores`, `in_alarm`, `slots`, `included_rows`: shape (n,), in time order. `slots`: index of
    each row's sensor. An episode consists of consecutive rows of one sensor that are in an alarm.
    """
    order = np.argsort(slots, kind="stable")
    sensor, sorted_in_alarm = slots[order], in_alarm[order]
    is_first_of_sensor = np.concatenate(([True], sensor[1:] != sensor[:-1]))
    starts_episode = sorted_in_alarm & (
        is_first_of_sensor | ~np.concatenate(([False], sorted_in_alarm[:-1]))
    )
    first_rows = np.flatnonzero(starts_episode)
    if len(first_rows) == 0:
        return np.empty(0)
    alarmed_scores = np.where(sorted_in_alarm, scores[order], -np.inf)
    peaks = np.maximum.reduceat(alarmed_scores, first_rows)
    result: NDArray[np.float64] = peaks[included_rows[order][first_rows]]
    return result


def expected_alarms(rates: AlarmRates, sensors: int) -> dict[str, float]:
    """Return the expected number of false alarms per day of a fleet of sensors, by severity.

    The number for a severity includes the alarms of the severities above it.
    """
    names = ("warning", "major", "critical")
    return dict(zip(names, (rates.budgets * sensors).tolist(), strict=True))


def rows_per_day(cadence: float) -> float:
    """Return the number of rows per day of a sensor with this cadence (microseconds)."""
    return DAY / cadence


def _moment_shape(excesses: NDArray[np.float64]) -> float:
    """Return the shape of a generalised Pareto distribution by its L-moments.

    Source: Hosking and Wallis 1987. `excesses`: shape (episodes,), ascending. With fewer than
    MIN_SHAPE_EPISODES excesses, the shape is 0.
    """
    episodes = len(excesses)
    if episodes < MIN_SHAPE_EPISODES:
        return 0.0
    weights = np.arange(episodes - 1, -1, -1) / (episodes - 1)
    mean, weighted_mean = float(excesses.mean()), float((excesses * weights).mean())
    spread = mean - 2.0 * weighted_mean
    return 2.0 - mean / spread if spread > 0.0 else 0.0
