"""Train a model on readings, and return a candidate for the registry."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import DataError
from sensorwatch.common.model.calibration import calibrate
from sensorwatch.common.model.civil_clock import civil_clock
from sensorwatch.common.model.forest import score
from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.model.plan import forecast_plan, plain_plan
from sensorwatch.common.model.signal_ranges import learn_signal_ranges
from sensorwatch.common.model.tails import MAX_TAIL_SHARE, MIN_EXCESSES
from sensorwatch.common.registry.candidate import MAX_GOLDEN_ROWS, Candidate, DataSource
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.features import compute_features
from sensorwatch.trainer.alarm_fitting import CleanEpisodes, episode_peaks, fit_alarm_rates
from sensorwatch.trainer.alarm_text import alarm_figures
from sensorwatch.trainer.cadence_fitting import fleet_size_and_cadence
from sensorwatch.trainer.cross_validation import block_count, out_of_fold_scores
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.forest_fitting import fit_forest
from sensorwatch.trainer.guard_fitting import fit_guard
from sensorwatch.trainer.imputation import drop_rows_without_signals
from sensorwatch.trainer.level_fitting import (
    drop_sensors_with_few_rows,
    pooled_gap_factor,
    schema_max_gap,
)
from sensorwatch.trainer.model_rows import model_rows
from sensorwatch.trainer.scorer_fitting import fit_scorer
from sensorwatch.trainer.season_text import season_figures, season_zone
from sensorwatch.trainer.tail_fitting import calibrate_decision

UNREGISTERED_VERSION = "unkept"
"""Version name of a detector that is not in a registry."""
MIN_FIT_ROWS = 20
MIN_CALIBRATION_ROWS = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Readings in time order, divided into older rows and newer rows."""

    sorted_readings: Readings
    """All rows, in time order."""
    boundary: int
    """Number of older rows."""

    @property
    def fit(self) -> Readings:
        """Return the older rows of the split."""
        return self.sorted_readings.take(slice(None, self.boundary))

    @property
    def calibration(self) -> Readings:
        """Return the newer rows of the split."""
        return self.sorted_readings.take(slice(self.boundary, None))

    def to_plain(self) -> dict[str, Any]:
        """Return the split as plain values for the model manifest."""
        return {
            "fit_rows": len(self.fit),
            "calibration_rows": len(self.calibration),
            "boundary_time": int(self.calibration.event_time[0]),
        }


def train(
    readings: Readings, schema: Schema, source: DataSource, trainer_settings: TrainerSettings
) -> Candidate:
    """Train on readings in any order and return a candidate for the registry.

    The same readings, settings and seed give the same arrays.
    Raises DataError if there are too few rows.
    """
    split = split_by_time(readings, trainer_settings.calibration_share)
    if trainer_settings.features is FeatureKind.PLAIN:
        return _train_plain(split, schema, source, trainer_settings)
    return _train_forecast(split, schema, source, trainer_settings)


def fit_unregistered(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings
) -> Detector:
    """Train a detector without registering it; see `train`."""
    # Only a registered version needs the digest of its source, so the digest is 0 here.
    source = DataSource(
        uri="",
        sha256="0" * 64,
        first_time=int(readings.event_time.min()),
        last_time=int(readings.event_time.max()),
        rows=len(readings),
    )
    return train(readings, schema, source, trainer_settings).detector(UNREGISTERED_VERSION)


def _train_plain(
    split: Split, schema: Schema, source: DataSource, trainer_settings: TrainerSettings
) -> Candidate:
    """Fit the forest on the older rows, and calibrate it on the newer rows."""
    feature_plan = plain_plan(schema)
    fit_rows, calibration_rows = (
        model_rows(split.fit, schema),
        model_rows(split.calibration, schema),
    )
    estimator, forest = fit_forest(compute_features(fit_rows, feature_plan), trainer_settings)
    scores = score(forest, compute_features(calibration_rows, feature_plan))
    calibration = calibrate(scores, trainer_settings.target_alert_rate)
    clean_episodes = _plain_episodes(scores, calibration_rows, calibration.threshold)
    sensors, cadence = fleet_size_and_cadence(split.sorted_readings)
    alarm_rates = fit_alarm_rates(
        clean_episodes,
        prior_scale=calibration.threshold - calibration.centre,
        cadence=cadence,
        sensors=sensors,
        alarm_settings=trainer_settings.alarms,
    )
    return Candidate(
        schema=schema,
        plan=feature_plan,
        levels=no_levels(
            _medians(fit_rows),
            max_gap=schema_max_gap(schema),
            gap_factor=pooled_gap_factor(fit_rows),
        ),
        forest=forest,
        calibration=calibration,
        ranges=learn_signal_ranges(fit_rows),
        alarm_rates=alarm_rates,
        alarms=alarm_figures(alarm_rates, clean_episodes, sensors),
        estimator=estimator,
        parameters=parameters_of(trainer_settings),
        seed=trainer_settings.seed,
        data_source=source,
        split=split.to_plain(),
        golden=golden_rows(split.calibration),
    )


def _medians(readings: Readings) -> NDArray[np.float64]:
    columns = np.concatenate([readings.values, readings.context], axis=1)
    return np.asarray(np.median(columns, axis=0))


def _train_forecast(
    split: Split, schema: Schema, source: DataSource, trainer_settings: TrainerSettings
) -> Candidate:
    """Fit on all rows; calibrate on scores by models that were not fitted on the scored rows.

    If there are more than MAX_FIT_ROWS rows, the calibration uses a sample of them.
    """
    readings = model_rows(split.sorted_readings, schema)
    scorer = fit_scorer(readings, np.ones(len(readings), dtype=np.bool_), schema, trainer_settings)
    season, zone = scorer.forecast.season, season_zone(schema, trainer_settings)
    raw_scores = out_of_fold_scores(
        readings, schema, trainer_settings, period=season.period if season.is_present else 0
    )
    sensors, cadence = fleet_size_and_cadence(readings)
    levels = drop_sensors_with_few_rows(scorer.final_levels, readings)
    fitted_guard = fit_guard(
        readings,
        drop_sensors_with_few_rows(scorer.levels, readings),
        step=cadence,
        accept_after_rows=trainer_settings.alarms.accept_after_rows,
        clock=civil_clock(zone),
    )
    calibrated_decision = calibrate_decision(raw_scores, fitted_guard.scores, trainer_settings)
    alarm_rates = fit_alarm_rates(
        calibrated_decision.clean_episodes,
        prior_scale=1.0,
        cadence=cadence,
        sensors=sensors,
        alarm_settings=trainer_settings.alarms,
    )
    return Candidate(
        schema=schema,
        plan=forecast_plan(schema),
        levels=levels,
        forest=scorer.forest,
        calibration=calibrated_decision.calibration,
        ranges=learn_signal_ranges(readings),
        alarm_rates=alarm_rates,
        alarms=alarm_figures(alarm_rates, calibrated_decision.clean_episodes, sensors),
        guard=fitted_guard.guard,
        forecast=scorer.forecast,
        decision=calibrated_decision.decision,
        estimator=scorer.estimator,
        parameters=parameters_of(trainer_settings),
        seed=trainer_settings.seed,
        data_source=source,
        split=split.to_plain()
        | {
            "fit_rows": len(readings),
            "calibration_rows": int((~raw_scores.warm_up_only).sum()),
            "blocks": block_count(len(readings)),
            "season": season.to_plain(),
            "seasons": season_figures(scorer.season_fit, fitted_guard.season_fit, schema, zone),
        },
        golden=golden_rows(split.calibration),
    )


def _plain_episodes(
    scores: NDArray[np.float64], readings: Readings, threshold: float
) -> CleanEpisodes:
    """Return the episodes of calibration rows; their scores (n,) do not use a memory."""
    peaks = episode_peaks(
        scores,
        scores > threshold,
        readings.sensor.astype(np.int64),
        np.ones(len(scores), dtype=np.bool_),
    )
    return CleanEpisodes(peaks, len(scores), threshold)


def split_by_time(readings: Readings, calibration_share: float) -> Split:
    """Sort the rows by time; the newest `calibration_share` of them is for calibration.

    The boundary is moved to the first row with the same event time, so that rows with equal times
    are on the same side. It stays if a move would leave too few older rows. Raises DataError if
    there are too few rows. Rows without any signal value are dropped.
    """
    min_rows = rows_needed(calibration_share)
    sorted_readings = drop_rows_without_signals(sort_by_time(readings))
    if len(sorted_readings) < min_rows:
        raise DataError(
            f"{len(sorted_readings)} valid rows are too few to train on: at least {min_rows} are "
            f"needed ({MIN_FIT_ROWS} to fit and {MIN_CALIBRATION_ROWS} to calibrate at "
            f"calibration_share = {calibration_share:g})"
        )
    boundary = math.floor(len(sorted_readings) * (1.0 - calibration_share))
    instant_start = int(
        np.searchsorted(
            sorted_readings.event_time, sorted_readings.event_time[boundary], side="left"
        )
    )
    if instant_start >= max(boundary / 2, MIN_FIT_ROWS):
        boundary = instant_start
    return Split(sorted_readings, boundary)


def rows_needed(calibration_share: float) -> int:
    """Return the minimum number of valid rows that training requires."""
    rows_for_fit = math.ceil(MIN_FIT_ROWS / (1.0 - calibration_share)) + 1
    return max(rows_for_fit, math.ceil(MIN_CALIBRATION_ROWS / calibration_share))


def golden_rows(calibration: Readings) -> Readings:
    """Return the newest rows; at each load of a version, their scores must equal stored scores."""
    return calibration.take(slice(max(len(calibration) - MAX_GOLDEN_ROWS, 0), None))


def parameters_of(trainer_settings: TrainerSettings) -> dict[str, Any]:
    """Return the training's settings as plain values for the model manifest, without the seed.

    The manifest stores the seed in its own field.
    """
    return trainer_settings.model_dump(mode="json", exclude={"seed"})


def few_rows_warning(
    calibration_rows: int, target_alert_rate: float, *, extrapolates: bool
) -> str | None:
    """Return a warning if the target alert rate needs more calibration rows, else None.

    `extrapolates`: True if a fitted tail extrapolates beyond the scores of the calibration rows.
    """
    min_calibration_rows = math.ceil((MIN_EXCESSES if extrapolates else 1.0) / target_alert_rate)
    if calibration_rows >= min_calibration_rows:
        return None
    if extrapolates:
        extrapolated_share = max(
            min(MIN_EXCESSES / calibration_rows, MAX_TAIL_SHARE), target_alert_rate
        )
        return (
            f"{calibration_rows} calibration rows are too few for a target alert rate of "
            f"{target_alert_rate:g}: scores rarer than {extrapolated_share:.1%} of rows are "
            f"extrapolated by an exponential tail, so the alert rate is only approximate "
            f"(wanted {min_calibration_rows} rows)"
        )
    return (
        f"{calibration_rows} calibration rows are too few for a target alert rate of "
        f"{target_alert_rate:g}: the threshold is their highest score "
        f"(wanted {min_calibration_rows} rows)"
    )
