"""From readings to a candidate: fit on the older rows, set the threshold on the newer ones."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import DataError
from sensorwatch.common.model.calibration import calibrate
from sensorwatch.common.model.forest import score
from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.model.plan import forecast_plan, plain_plan
from sensorwatch.common.model.tails import MAX_TAIL_SHARE, MIN_EXCESSES
from sensorwatch.common.registry.candidate import MAX_GOLDEN_ROWS, Candidate, DataSource
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import FeatureKind, TrainerSettings
from sensorwatch.common.scoring.detector import Detector, learn_signal_ranges
from sensorwatch.common.scoring.features import compute_features
from sensorwatch.trainer.cross_validation import block_count, out_of_fold_scores
from sensorwatch.trainer.dataset import by_time
from sensorwatch.trainer.forest_fitting import fit_forest
from sensorwatch.trainer.imputation import fill_missing
from sensorwatch.trainer.level_fitting import max_gap, with_enough_rows
from sensorwatch.trainer.scorer_fitting import fit_on
from sensorwatch.trainer.tail_fitting import calibrate_decision

UNREGISTERED = "unkept"
"""The version of a detector that is in no registry."""
MIN_FIT_ROWS = 20
MIN_CALIBRATION_ROWS = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Readings by time: what the forest is fitted on, and the later ones it is calibrated on."""

    sorted_readings: Readings
    """Both parts, in time order."""
    boundary: int
    """How many rows the first part has."""

    @property
    def fit(self) -> Readings:
        """The older rows."""
        return self.sorted_readings.take(slice(None, self.boundary))

    @property
    def calibration(self) -> Readings:
        """The newer rows."""
        return self.sorted_readings.take(slice(self.boundary, None))

    def to_plain(self) -> dict[str, Any]:
        """What a manifest says about the split."""
        return {
            "fit_rows": len(self.fit),
            "calibration_rows": len(self.calibration),
            "boundary_time": int(self.calibration.event_time[0]),
        }


def train(
    readings: Readings, schema: Schema, source: DataSource, trainer_settings: TrainerSettings
) -> Candidate:
    """Train on readings in any order; the same readings, settings and seed give the same arrays.

    Raises DataError where there are too few.
    """
    split = split_by_time(readings, trainer_settings.calibration_share)
    train_plan = _train_plain if trainer_settings.features is FeatureKind.PLAIN else _train_forecast
    return train_plan(split, schema, source, trainer_settings)


def fit_unregistered(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings
) -> Detector:
    """Train a detector that nobody keeps; see `train`."""
    # Nothing keeps this model, so nothing needs the digest of what it was made of.
    source = DataSource(
        uri="",
        sha256="0" * 64,
        first_time=int(readings.event_time.min()),
        last_time=int(readings.event_time.max()),
        rows=len(readings),
    )
    return train(readings, schema, source, trainer_settings).detector(UNREGISTERED)


def _train_plain(
    split: Split, schema: Schema, source: DataSource, trainer_settings: TrainerSettings
) -> Candidate:
    """Fit on the older rows, calibrate on the newer ones."""
    plan = plain_plan(schema)
    fitting, calibrating = fill_missing(split.fit), fill_missing(split.calibration)
    estimator, forest = fit_forest(compute_features(fitting, plan), trainer_settings)
    scores = score(forest, compute_features(calibrating, plan))
    return Candidate(
        schema=schema,
        plan=plan,
        levels=no_levels(_medians(fitting), max_gap=max_gap(fitting, schema)),
        forest=forest,
        calibration=calibrate(scores, trainer_settings.target_alert_rate),
        ranges=learn_signal_ranges(fitting),
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
    """Fit on all rows, calibrate out of fold: on all of them, or of very many on a spread."""
    readings = fill_missing(split.sorted_readings)
    fitted = fit_on(readings, np.ones(len(readings), dtype=np.bool_), schema, trainer_settings)
    season = fitted.forecast.season
    raw_scores = out_of_fold_scores(
        readings, schema, trainer_settings, period=season.period if season.is_present else 0
    )
    calibrated = calibrate_decision(raw_scores, trainer_settings)
    return Candidate(
        schema=schema,
        plan=forecast_plan(schema),
        levels=with_enough_rows(fitted.final_levels, readings),
        forest=fitted.forest,
        calibration=calibrated.calibration,
        ranges=learn_signal_ranges(readings),
        forecast=fitted.forecast,
        decision=calibrated.decision,
        estimator=fitted.estimator,
        parameters=parameters_of(trainer_settings),
        seed=trainer_settings.seed,
        data_source=source,
        split=split.to_plain()
        | {
            "fit_rows": len(readings),
            "calibration_rows": int((~raw_scores.warming).sum()),
            "blocks": block_count(len(readings)),
            "season": fitted.forecast.season.to_plain(),
        },
        golden=golden_rows(split.calibration),
    )


def split_by_time(readings: Readings, calibration_share: float) -> Split:
    """Sort by time and cut off the last `calibration_share` of the rows for calibration.

    The cut moves to the beginning of its instant, so that no instant is on both sides, unless that
    would take away more than half of the rows before it.
    Raises DataError where there are too few rows for either side.
    """
    min_calibration_rows = rows_needed(calibration_share)
    if len(readings) < min_calibration_rows:
        raise DataError(
            f"{len(readings)} valid rows are too few to train on: at least {min_calibration_rows} are needed "
            f"({MIN_FIT_ROWS} to fit and {MIN_CALIBRATION_ROWS} to calibrate at "
            f"calibration_share = {calibration_share:g})"
        )
    ordered = by_time(readings)
    boundary = math.floor(len(ordered) * (1.0 - calibration_share))
    boundary_row = int(
        np.searchsorted(ordered.event_time, ordered.event_time[boundary], side="left")
    )
    if boundary_row >= max(boundary / 2, MIN_FIT_ROWS):
        boundary = boundary_row
    return Split(ordered, boundary)


def rows_needed(calibration_share: float) -> int:
    """How many valid rows a training needs at least."""
    fit_part = math.ceil(MIN_FIT_ROWS / (1.0 - calibration_share)) + 1
    return max(fit_part, math.ceil(MIN_CALIBRATION_ROWS / calibration_share))


def golden_rows(calibration: Readings) -> Readings:
    """Choose the newest rows, one after the other; their scores are replayed at load."""
    return calibration.take(slice(max(len(calibration) - MAX_GOLDEN_ROWS, 0), None))


def parameters_of(trainer_settings: TrainerSettings) -> dict[str, Any]:
    """What training was told, as plain values for the manifest; the seed has a place of its own."""
    return trainer_settings.model_dump(mode="json", exclude={"seed"})


def rate_note(calibration_rows: int, target_alert_rate: float, *, extrapolates: bool) -> str | None:
    """Say when there are too few calibration rows to set a threshold at this rate; None: enough.

    `extrapolates`: a tail model stands in for the rows that are not there.
    """
    min_calibration_rows = math.ceil((MIN_EXCESSES if extrapolates else 1.0) / target_alert_rate)
    if calibration_rows >= min_calibration_rows:
        return None
    if extrapolates:
        share = max(min(MIN_EXCESSES / calibration_rows, MAX_TAIL_SHARE), target_alert_rate)
        return (
            f"{calibration_rows} rows were there to calibrate on: what is rarer than {share:.1%} "
            f"of rows is extrapolated by an exponential tail, and the target alert rate of "
            f"{target_alert_rate:g} lies there, so expect it to be met roughly only "
            f"(wanted {min_calibration_rows} rows)"
        )
    return (
        f"{calibration_rows} calibration rows cannot resolve a target alert rate of "
        f"{target_alert_rate:g}: the threshold is their highest score (wanted {min_calibration_rows} rows)"
    )
