"""The false alarms among clean rows outside a model's fit, compared with the budgets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.alarm_fitting import rows_per_day
from sensorwatch.trainer.alarm_text import ALARM_SEVERITIES
from sensorwatch.trainer.cadence_fitting import fleet_size_and_cadence
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.evaluation_check import Check, Section

MAX_BUDGET_FACTOR = 2.0
"""The check fails if the lower bound of the rate of false alarms is above this multiple of the
budget."""
CONFIDENCE = 0.95
"""Confidence of the lower bound of the rate (one-sided)."""
MIN_EXPECTED_EPISODES = 1.0
"""Smallest expected number of false episodes for which a budget is tested."""


@dataclass(frozen=True, slots=True)
class CleanAlarms:
    """The alarm episodes of clean rows."""

    lowest_rates: NDArray[np.float64]
    """Shape (episodes,). The smallest `Detections.episode_rate` of each episode. The episode is
    rare enough for every budget that is at least this rate."""
    sensor_days: float
    """Days of rows, summed over all sensors."""

    def episodes_within(self, budget: float) -> int:
        """Return the number of episodes that are rare enough for a budget (per sensor-day)."""
        return int((self.lowest_rates <= budget).sum())


def clean_alarms(readings: Readings, detector: Detector) -> CleanAlarms:
    """Score clean rows with an empty memory, and return their alarm episodes.

    `readings`: rows that the detector was not fitted on.
    """
    rows = sort_by_time(readings)
    _, cadence = fleet_size_and_cadence(rows)
    detections = detector.detect(rows, detector.empty_memory()).detections
    return CleanAlarms(_lowest_rates(detections), len(rows) / rows_per_day(cadence))


def alarm_budget_section(readings: Readings, detector: Detector) -> Section:
    """Check that the rate of false alarms is at most twice the budget of each severity.

    `readings`: rows that the detector was not fitted on. They are assumed to be free of faults.
    """
    alarms = clean_alarms(readings, detector)
    budgets = detector.alarm_rates.budgets.tolist()
    figures = {
        "sensor_days": alarms.sensor_days,
        "budgets": dict(zip(ALARM_SEVERITIES, budgets, strict=True)),
        "episodes": {
            severity: alarms.episodes_within(budget)
            for severity, budget in zip(ALARM_SEVERITIES, budgets, strict=True)
        },
    }
    return Section(tuple(budget_checks(alarms, budgets)), figures)


def budget_checks(alarms: CleanAlarms, budgets: Sequence[float]) -> list[Check]:
    """Return the checks of the budgets (per sensor-day) of `warning`, `major` and `critical`."""
    return [
        _budget_check(f"alarms.budget.{severity}", alarms, budget)
        for severity, budget in zip(ALARM_SEVERITIES, budgets, strict=True)
    ]


def lower_bound(episodes: int) -> float:
    """Return the lower bound of a Poisson count's mean, with CONFIDENCE (Garwood 1936)."""
    return float(chi2.ppf(1.0 - CONFIDENCE, 2 * episodes)) / 2.0 if episodes else 0.0


def _budget_check(name: str, alarms: CleanAlarms, budget: float) -> Check:
    episodes, expected = alarms.episodes_within(budget), budget * alarms.sensor_days
    wanted_text = (
        f"lower bound at most {MAX_BUDGET_FACTOR * budget:.3g} ({MAX_BUDGET_FACTOR:g} budgets)"
    )
    if expected < MIN_EXPECTED_EPISODES:
        return Check(
            name,
            passed=True,
            observed=f"not testable: {expected:.2g} expected, {episodes} found",
            wanted=wanted_text,
        )
    lowest_rate = lower_bound(episodes) / alarms.sensor_days
    return Check(
        name,
        lowest_rate <= MAX_BUDGET_FACTOR * budget,
        f"{episodes} episodes, {expected:.3g} expected: {episodes / alarms.sensor_days:.3g} per "
        f"sensor-day, lower bound {lowest_rate:.3g}",
        wanted_text,
    )


def _lowest_rates(detections: Detections) -> NDArray[np.float64]:
    anomalous_rows = np.flatnonzero(detections.is_anomaly)
    if len(anomalous_rows) == 0:
        return np.empty(0)
    _, episode = np.unique(detections.episode[anomalous_rows], return_inverse=True)
    lowest_rates = np.full(int(episode.max()) + 1, np.inf)
    np.minimum.at(lowest_rates, episode, detections.episode_rate[anomalous_rows])
    return lowest_rates
