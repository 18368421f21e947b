"""Whether alerts come as often as they should, over time and whatever the seed."""

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
"""The rate may be so many times the target, or a part of it so small, ..."""
CONFIDENCE = 0.999
"""... and beyond that whatever chance does in so few rows with this probability."""
MAX_ROWS = 50_000
"""The newest so many rows are used for refits: a fit is the dear part of an evaluation."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often rows were called anomalous, and how often they may be."""

    what: str
    rows: int
    alerts: int
    rate: float
    highest: float
    lowest: float

    @property
    def within(self) -> bool:
        """Whether the rate is neither too high nor too low."""
        return self.lowest <= self.rate <= self.highest


def stability(readings: Readings, detector: Detector, trainer_settings: TrainerSettings) -> Section:
    """Judge the alert rate over the whole, over time folds, and over refits with other seeds.

    A fold may fall quiet (only too high a rate is wrong there); the whole and a refit may not.
    """
    target = detector.calibration.target_alert_rate
    ordered = by_time(readings)
    alerts = detector.detect(ordered, detector.empty_memory()).detections.is_anomaly
    whole = rate_of("all rows", alerts, target)
    folds = [
        rate_of(f"from {format_instant(ordered.event_time[rows[0]])}", alerts[rows], target)
        for rows in _folds(len(ordered))
    ]
    seeds = seed_rates(ordered, detector.schema, trainer_settings, target)
    checks = [
        _rate_within_bounds_check("stability.whole", [whole]),
        _rate_not_above_check("stability.folds", folds),
    ]
    if seeds:
        checks.append(_rate_within_bounds_check("stability.seeds", seeds))
    figures = {
        "target_alert_rate": target,
        "tolerance": tolerance(),
        "whole": asdict(whole),
        "folds": [asdict(fold) for fold in folds],
        "seeds": [asdict(seed) for seed in seeds],
    }
    return Section(tuple(checks), figures)


def tolerance() -> str:
    """Say in words what is tolerated."""
    return (
        f"a rate of at most {MAX_RATE_FACTOR:g} times and (the whole and each seed) at least 1/{MAX_RATE_DIVISOR:g} of "
        f"the target, beyond that only what a binomial count of so few rows reaches in "
        f"{CONFIDENCE:.1%} of cases"
    )


def rate_of(what: str, alerts: NDArray[np.bool_], target: float) -> Rate:
    """Count alerts (n,) and say between which rates they may lie at this target."""
    rows = len(alerts)
    highest = binom.ppf(CONFIDENCE, rows, min(MAX_RATE_FACTOR * target, 1.0)) / rows
    lowest = binom.ppf(1.0 - CONFIDENCE, rows, target / MAX_RATE_DIVISOR) / rows
    count = int(alerts.sum())
    return Rate(what, rows, count, count / rows, float(highest), float(lowest))


def seed_rates(
    ordered: Readings, schema: Schema, trainer_settings: TrainerSettings, target: float
) -> list[Rate]:
    """Refit on the older rows with several seeds and count alerts on newer rows never seen.

    The last `calibration_share` is held out; the rest is split as in training. Too few rows: [].
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
    return f"{low:.5f} to {high:.5f}, nearest to its bound {rate_text} {worst.what}"
