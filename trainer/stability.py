"""The checks of the alert rate: over all rows, over folds of time, and for several seeds."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.training import rows_needed
from sensorwatch.trainer.unregistered_model import fit_with_memory

MAX_FOLDS = 5
SEED_COUNT = 3
MIN_FOLD_ROWS = 20
MAX_RATE_FACTOR = 3.0
"""The maximum alert rate is this multiple of the target rate."""
MAX_RATE_DIVISOR = 5.0
"""The minimum alert rate is the target rate divided by this number."""
BOUND_QUANTILE = 0.999
"""Both bounds are widened to this quantile of a binomial count, because the alert rate of few rows
varies by chance."""
MAX_ROWS = 50_000
"""Largest number of rows of a refit, because refits are the slowest checks."""
ENOUGH_ROWS_OF_SENSOR = 1_000
"""Number of rows of each sensor in a refit if there are more than MAX_ROWS rows; the refit then
uses fewer sensors.

A refit on few rows of each sensor would test a much shorter training than that of the model."""


@dataclass(frozen=True, slots=True)
class Rate:
    """An alert rate and its bounds."""

    rows_description: str
    """Description of the rows on which the rate was measured."""
    rows: int
    alerts: int
    rate: float
    """Alerts per row."""
    highest: float
    lowest: float

    @property
    def is_within_bounds(self) -> bool:
        """Return whether the alert rate is within its bounds."""
        return self.lowest <= self.rate <= self.highest


def alert_rate_section(
    readings: Readings, detector: Detector, trainer_settings: TrainerSettings
) -> Section:
    """Check the alert rate over all rows, over folds of time, and over refits with other seeds.

    For a fold, only the maximum rate is checked. For all rows together and for each refit, the
    minimum rate is checked too.
    """
    target = detector.calibration.target_alert_rate
    sorted_readings = sort_by_time(readings)
    alerts = detector.detect(sorted_readings, detector.empty_memory()).detections.is_anomaly
    overall_rate = alert_rate_with_bounds("all rows", alerts, target)
    fold_rates = [
        alert_rate_with_bounds(
            f"from {format_instant(sorted_readings.event_time[rows[0]])}", alerts[rows], target
        )
        for rows in _rows_of_folds(len(sorted_readings))
    ]
    rates_of_seeds = seed_rates(sorted_readings, detector.schema, trainer_settings, target)
    checks = [
        _rate_within_bounds_check("stability.whole", [overall_rate]),
        _rate_not_above_check("stability.folds", fold_rates),
    ]
    if rates_of_seeds:
        checks.append(_rate_within_bounds_check("stability.seeds", rates_of_seeds))
    figures = {
        "target_alert_rate": target,
        "tolerance": tolerance(),
        "whole": asdict(overall_rate),
        "folds": [asdict(fold) for fold in fold_rates],
        "seeds": [asdict(seed) for seed in rates_of_seeds],
    }
    return Section(tuple(checks), figures)


def tolerance() -> str:
    """Return a text that describes the bounds of the alert rates."""
    return (
        f"at most {MAX_RATE_FACTOR:g} times the target, and (all rows and each seed) at least "
        f"1/{MAX_RATE_DIVISOR:g} of it; both bounds are widened to the "
        f"{BOUND_QUANTILE:.1%} quantile of a binomial count"
    )


def alert_rate_with_bounds(rows_description: str, alerts: NDArray[np.bool_], target: float) -> Rate:
    """Return the share of True in `alerts` (n,), with its bounds for the target alert rate.

    `rows_description`: description of the rows on which the rate was measured.
    """
    rows = len(alerts)
    highest = binom.ppf(BOUND_QUANTILE, rows, min(MAX_RATE_FACTOR * target, 1.0)) / rows
    lowest = binom.ppf(1.0 - BOUND_QUANTILE, rows, target / MAX_RATE_DIVISOR) / rows
    alert_count = int(alerts.sum())
    return Rate(
        rows_description, rows, alert_count, alert_count / rows, float(highest), float(lowest)
    )


def seed_rates(
    sorted_readings: Readings, schema: Schema, trainer_settings: TrainerSettings, target: float
) -> list[Rate]:
    """Refit on the older rows with several seeds; return the alert rates on the newer rows.

    The newer rows are the newest `calibration_share` of the rows. Return [] if there are too few
    rows for a fit. `sorted_readings`: in time order.
    """
    sorted_readings = rows_for_refits(sorted_readings)
    boundary = int(len(sorted_readings) * (1.0 - trainer_settings.calibration_share))
    if boundary < rows_needed(trainer_settings.calibration_share):
        return []
    older_rows, newer_rows = (
        sorted_readings.take(slice(None, boundary)),
        sorted_readings.take(slice(boundary, None)),
    )
    rates = []
    for seed in range(trainer_settings.seed, trainer_settings.seed + SEED_COUNT):
        detector, memory = fit_with_memory(
            older_rows, schema, trainer_settings.model_copy(update={"seed": seed % 2**32})
        )
        alerts = detector.detect(newer_rows, memory).detections.is_anomaly
        rates.append(alert_rate_with_bounds(f"seed {seed}", alerts, target))
    return rates


def rows_for_refits(sorted_readings: Readings) -> Readings:
    """Return at most MAX_ROWS of the readings: the newest rows of all sensors, or of some sensors.

    The sensors are chosen at equal distances in the list of sensors.
    """
    if len(sorted_readings) <= MAX_ROWS:
        return sorted_readings
    rows_of_sensor = np.bincount(sorted_readings.sensor, minlength=len(sorted_readings.sensor_ids))
    sensors = np.flatnonzero(rows_of_sensor)
    typical_rows = max(int(np.median(rows_of_sensor[sensors])), 1)
    count = MAX_ROWS // min(typical_rows, ENOUGH_ROWS_OF_SENSOR)
    if count < len(sensors):
        chosen_sensors = sensors[np.linspace(0, len(sensors) - 1, count).astype(np.int64)]
        sorted_readings = sorted_readings.take(np.isin(sorted_readings.sensor, chosen_sensors))
    return sorted_readings.take(slice(max(len(sorted_readings) - MAX_ROWS, 0), None))


def _rows_of_folds(rows: int) -> list[NDArray[np.intp]]:
    fold_count = max(1, min(MAX_FOLDS, rows // MIN_FOLD_ROWS))
    return np.array_split(np.arange(rows), fold_count)


def _rate_within_bounds_check(name: str, rates: list[Rate]) -> Check:
    worst_rate = max(rates, key=lambda rate: max(rate.rate - rate.highest, rate.lowest - rate.rate))
    wanted_text = f"{worst_rate.lowest:.5f} to {worst_rate.highest:.5f}"
    return Check(
        name,
        all(rate.is_within_bounds for rate in rates),
        _observed_text(rates, worst_rate),
        wanted_text,
    )


def _rate_not_above_check(name: str, rates: list[Rate]) -> Check:
    worst_rate = max(rates, key=lambda rate: rate.rate - rate.highest)
    passed = all(rate.rate <= rate.highest for rate in rates)
    return Check(
        name, passed, _observed_text(rates, worst_rate), f"at most {worst_rate.highest:.5f}"
    )


def _observed_text(rates: list[Rate], worst_rate: Rate) -> str:
    rate_text = f"{worst_rate.rate:.5f} ({worst_rate.alerts} of {worst_rate.rows})"
    if len(rates) == 1:
        return rate_text
    lowest_rate, highest_rate = min(rate.rate for rate in rates), max(rate.rate for rate in rates)
    range_text = f"{lowest_rate:.5f} to {highest_rate:.5f}"
    return f"{range_text}, closest to a bound: {rate_text}, {worst_rate.rows_description}"
