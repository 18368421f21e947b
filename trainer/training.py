"""From readings to a candidate: fit on the older rows, set the threshold on the newer ones."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn.ensemble
from numpy.typing import NDArray

from common.detection.calibration import calibrate
from common.detection.detector import ranges_from
from common.detection.features import features
from common.detection.forest import Forest, forest_from, score
from common.detection.levels import no_levels
from common.detection.plan import FeaturePlan, plain_plan
from common.errors import DataError
from common.registry.candidate import MAX_GOLDEN_ROWS, Candidate, DataSource
from common.rows.readings import Readings
from common.rows.schema import Schema
from common.runtime.keys import TrainerSettings
from trainer.dataset import by_time

MIN_FIT_ROWS = 20
MIN_CALIBRATION_ROWS = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Readings by time: what the forest is fitted on, and the later ones it is calibrated on."""

    fit: Readings
    calibration: Readings

    def to_plain(self) -> dict[str, Any]:
        """What a manifest says about the split."""
        return {
            "fit_rows": len(self.fit),
            "calibration_rows": len(self.calibration),
            "boundary_time": int(self.calibration.event_time[0]),
        }


def train(
    readings: Readings, schema: Schema, source: DataSource, how: TrainerSettings
) -> Candidate:
    """Train on readings in any order; the same readings, settings and seed give the same arrays.

    Raises DataError where there are too few.
    """
    split = split_by_time(readings, how.calibration_share)
    plan = plain_plan(schema)
    estimator, forest = fit(split.fit, plan, how)
    calibration_scores = score(forest, matrix_of(split.calibration, plan))
    return Candidate(
        schema=schema,
        plan=plan,
        forest=forest,
        levels=no_levels(len(schema.signals) + len(schema.context)),
        calibration=calibrate(calibration_scores, how.target_alert_rate),
        ranges=ranges_from(split.fit),
        estimator=estimator,
        parameters=parameters_of(how),
        seed=how.seed,
        data_source=source,
        split=split.to_plain(),
        golden=golden_rows(split.calibration),
    )


def split_by_time(readings: Readings, calibration_share: float) -> Split:
    """Sort by time and cut off the last `calibration_share` of the rows for calibration.

    The cut moves to the beginning of its instant, so that no instant is on both sides, unless that
    would take away more than half of the rows before it.
    Raises DataError where there are too few rows for either side.
    """
    needed = rows_needed(calibration_share)
    if len(readings) < needed:
        raise DataError(
            f"{len(readings)} valid rows are too few to train on: at least {needed} are needed "
            f"({MIN_FIT_ROWS} to fit and {MIN_CALIBRATION_ROWS} to calibrate at "
            f"calibration_share = {calibration_share:g})"
        )
    ordered = by_time(readings)
    cut = math.floor(len(ordered) * (1.0 - calibration_share))
    instant = int(np.searchsorted(ordered.event_time, ordered.event_time[cut], side="left"))
    if instant >= max(cut / 2, MIN_FIT_ROWS):
        cut = instant
    return Split(ordered.take(slice(None, cut)), ordered.take(slice(cut, None)))


def rows_needed(calibration_share: float) -> int:
    """How many valid rows a training needs at least."""
    fit_part = math.ceil(MIN_FIT_ROWS / (1.0 - calibration_share)) + 1
    return max(fit_part, math.ceil(MIN_CALIBRATION_ROWS / calibration_share))


def fit(readings: Readings, plan: FeaturePlan, how: TrainerSettings) -> tuple[Any, Forest]:
    """Fit scikit-learn's forest on readings, and take it apart into arrays."""
    matrix = matrix_of(readings, plan).astype(np.float32)
    estimator = sklearn.ensemble.IsolationForest(
        n_estimators=how.trees,
        max_samples=min(how.max_samples, len(matrix)),
        random_state=how.seed,
        n_jobs=1,
    )
    estimator.fit(matrix)
    return estimator, forest_from(estimator)


def matrix_of(readings: Readings, plan: FeaturePlan) -> NDArray[np.float64]:
    """Compute the plan's features (n, features) from cold memory."""
    return features(readings, plan)


def golden_rows(calibration: Readings) -> Readings:
    """Choose rows spread evenly over the calibration part; their scores are replayed at load."""
    count = min(MAX_GOLDEN_ROWS, len(calibration))
    return calibration.take(np.linspace(0, len(calibration) - 1, count).round().astype(np.int64))


def parameters_of(how: TrainerSettings) -> dict[str, Any]:
    """What training was told, as plain values for the manifest; the seed has a place of its own."""
    return how.model_dump(mode="json", exclude={"seed"})


def rate_note(calibration_rows: int, target_alert_rate: float) -> str | None:
    """Say when there are too few calibration rows to set a threshold at this rate; None: enough."""
    needed = math.ceil(1.0 / target_alert_rate)
    if calibration_rows >= needed:
        return None
    return (
        f"{calibration_rows} calibration rows cannot resolve a target alert rate of "
        f"{target_alert_rate:g}: the threshold is their highest score (wanted {needed} rows)"
    )
