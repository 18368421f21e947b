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
from sensorwatch.trainer.dataset import by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.training import rows_needed
from sensorwatch.trainer.unregistered_model import fit_with_memory

FOLDS = 5
SEEDS = 3
MIN_FOLD_ROWS = 20
MAX_RATE_FACTOR, MAX_RATE_DIVISOR = 3.0, 5.0
"""Maximum alert rate as a multiple of the target, and divisor of the target for the minimum."""
CONFIDENCE = 0.999
"""Quantile of the binomial count that widens both bounds, because the rows are few."""
MAX_ROWS = 50_000
"""The newest rows that refits use. Fits take most of the time of an evaluation."""


@dataclass(frozen=True, slots=True)
class Rate:
    """An alert rate and its bounds."""

    what: str
    """Description of the rows."""
    rows: int
    alerts: int
    rate: float
    """Alerts per row."""
    highest: float
    lowest: float

    @property
    def within(self) -> bool:
        """Return whether the rate is within its bounds."""
        return self.lowest <= self.rate <= self.highest


def alert_rate_section(
    readings: Readings, detector: Detector, trainer_settings: TrainerSettings
) -> Section:
    """Check the alert rate over all rows, over folds of time, and over refits with other seeds.

    A fold only has a maximum rate. All rows together and each refit also have a minimum rate.
    """
    target = detector.calibration.target_alert_rate
    ordered = by_time(readings)
    alerts = detector.detect(ordered, detector.empty_memory()).detections.is_anomaly
    all_rows = rate_of("all rows", alerts, target)
    folds = [
        rate_of(f"from {format_instant(ordered.event_time[rows[0]])}", alerts[rows], target)
        for rows in _folds(len(ordered))
    ]
    seeds = seed_rates(ordered, detector.schema, trainer_settings, target)
    checks = [
        _rate_within_bounds_check("stability.whole", [all_rows]),
        _rate_not_above_check("stability.folds", folds),
    ]
    if seeds:
        checks.append(_rate_within_bounds_check("stability.seeds", seeds))
    figures = {
        "target_alert_rate": target,
        "tolerance": tolerance(),
        "whole": asdict(all_rows),
        "folds": [asdict(fold) for fold in folds],
        "seeds": [asdict(seed) for seed in seeds],
    }
    return Section(tuple(checks), figures)


def tolerance() -> str:
    """Return a sentence that describes the bounds."""
    return (
        f"at most {MAX_RATE_FACTOR:g} times the target, and (all rows and each seed) at least "
        f"1/{MAX_RATE_DIVISOR:g} of it; both bounds are widened to the {CONFIDENCE:.1%} quantile "
        "of a binomial count"
    )


def rate_of(what: str, alerts: NDArray[np.bool_], target: float) -> Rate:
    """Return the rate of `alerts` (n,) and its bounds for this target.

    `what`: description of the rows.
    """
    rows = len(alerts)
    highest = binom.ppf(CONFIDENCE, rows, min(MAX_RATE_FACTOR * target, 1.0)) / rows
    lowest = binom.ppf(1.0 - CONFIDENCE, rows, target / MAX_RATE_DIVISOR) / rows
    count = int(alerts.sum())
    return Rate(what, rows, count, count / rows, float(highest), float(lowest))


def seed_rates(
    ordered: Readings, schema: Schema, trainer_settings: TrainerSettings, target: float
) -> list[Rate]:
    """Refit on the older rows with several seeds; return the alert rates on the newer rows.

    The newest `calibration_share` of the rows is outside the fit. Return [] if there are too few
    rows for a fit. `ordered`: in time order.
    """
    ordered = ordered.take(slice(max(len(ordered) - MAX_ROWS, 0), None))
    cut = int(len(ordered) * (1.0 - trainer_settings.calibration_share))
    if cut < rows_needed(trainer_settings.calibration_share):
        return []
    older, newer = ordered.take(slice(None, cut)), ordered.take(slice(cut, None))
    rates = []
    for seed in range(trainer_settings.seed, trainer_settings.seed + SEEDS):
        detector, memory = fit_with_memory(
            older, schema, trainer_settings.model_copy(update={"seed": seed % 2**32})
        )
        alerts = detector.detect(newer, memory).detections.is_anomaly
        rates.append(rate_of(f"seed {seed}", alerts, target))
    return rates


def _folds(rows: int) -> list[NDArray[np.intp]]:
    count = max(1, min(FOLDS, rows // MIN_FOLD_ROWS))
    return np.array_split(np.arange(rows), count)


def _rate_within_bounds_check(name: str, rates: list[Rate]) -> Check:
    worst = max(rates, key=lambda rate: max(rate.rate - rate.highest, rate.lowest - rate.rate))
    wanted = f"{worst.lowest:.5f} to {worst.highest:.5f}"
    return Check(name, all(rate.within for rate in rates), _observed(rates, worst), wanted)


def _rate_not_above_check(name: str, rates: list[Rate]) -> Check:
    worst = max(rates, key=lambda rate: rate.rate - rate.highest)
    passed = all(rate.rate <= rate.highest for rate in rates)
    return Check(name, passed, _observed(rates, worst), f"at most {worst.highest:.5f}")


def _observed(rates: list[Rate], worst: Rate) -> str:
    rate_text = f"{worst.rate:.5f} ({worst.alerts} of {worst.rows})"
    if len(rates) == 1:
        return rate_text
    low, high = min(rate.rate for rate in rates), max(rate.rate for rate in rates)
    return f"{low:.5f} to {high:.5f}, closest to a bound: {rate_text}, {worst.what}"
