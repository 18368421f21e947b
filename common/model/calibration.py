"""Calibration: the threshold, anomaly score and p-value of a model's raw scores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.stored_arrays import require, stored_array

MAX_CALIBRATION_SCORES = 100_000
"""Largest number of stored calibration scores; a larger set is thinned evenly to this number."""
MIN_CENTRE_DISTANCE = 1e-9
"""Smallest distance between centre and threshold; a smaller one could make anomaly scores
infinite."""
_MIN_VALUES_TO_SORT = 300
"""Smallest number of values for which sorting before the binary search saves time."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters that convert a model's raw scores to anomaly scores and p-values.

    The parameters are learned from rows that the model was not fitted on.
    """

    threshold: float
    """The raw score whose anomaly score is 1.0."""
    centre: float
    """The raw score whose anomaly score is 0.0: the median of the calibration scores."""
    scores: NDArray[np.float64]
    """Shape (m,). Calibration scores in ascending order; m <= MAX_CALIBRATION_SCORES."""
    target_alert_rate: float
    """Requested share of calibration scores above the threshold, between 0 and 1."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the calibration by name, as a model version stores them."""
        parameters = [self.threshold, self.centre, self.target_alert_rate]
        return {"calibration_scores": self.scores, "calibration": np.asarray(parameters)}


@dataclass(frozen=True, slots=True)
class AnomalyScores:
    """The calibrated scores of n rows."""

    anomaly_score: NDArray[np.float64]
    """Shape (n,). 0.0 for a raw score at or below the centre, 1.0 at the threshold."""
    above: NDArray[np.bool_]
    """Shape (n,). True if the raw score is strictly above the threshold."""


def calibrate(
    raw_scores: NDArray[np.float64], target_alert_rate: float, *, threshold: float | None = None
) -> Calibration:
    """Return a calibration; the share `target_alert_rate` of the scores is above its threshold.

    `raw_scores`: shape (m,), of rows that the model was not fitted on. `threshold`: replaces the
    threshold that follows from `target_alert_rate`; it is given if the raw scores are rarities.
    Raises ValueError if m is 0.
    """
    if len(raw_scores) == 0:
        raise ValueError("no calibration scores")
    sorted_scores = np.sort(np.asarray(raw_scores, dtype=np.float64))
    if threshold is None:
        threshold = float(np.quantile(sorted_scores, 1.0 - target_alert_rate, method="higher"))
    centre = float(np.median(sorted_scores))
    # If all scores are equal, the median is the threshold: put the centre slightly below it.
    centre = min(centre, threshold - max(abs(threshold) * 1e-3, MIN_CENTRE_DISTANCE))
    if len(sorted_scores) > MAX_CALIBRATION_SCORES:
        kept_indices = (
            np.linspace(0, len(sorted_scores) - 1, MAX_CALIBRATION_SCORES).round().astype(np.int64)
        )
        sorted_scores = sorted_scores[kept_indices]
    return Calibration(threshold, centre, sorted_scores, target_alert_rate)


def calibration_from_arrays(arrays: dict[str, NDArray[Any]]) -> Calibration:
    """Build a calibration from stored arrays; raises ModelRefused if one of them is wrong."""
    scores = stored_array(arrays, "calibration_scores", np.float64, (None,))
    parameters = stored_array(arrays, "calibration", np.float64, (3,))
    require(len(scores), "calibration_scores", actual="no scores", wanted="at least one")
    is_sorted = bool(np.all(np.diff(scores) >= 0))
    require(is_sorted, "calibration_scores", actual="falling scores", wanted="rising ones")
    threshold, centre, target_alert_rate = parameters.tolist()
    require(
        threshold - centre >= MIN_CENTRE_DISTANCE / 2,
        "calibration",
        actual=f"threshold {threshold} and centre {centre}",
        wanted="a threshold above the centre",
    )
    require(
        0 < target_alert_rate < 1,
        "calibration",
        actual=f"target alert rate {target_alert_rate}",
        wanted="one between 0 and 1",
    )
    return Calibration(threshold, centre, scores, target_alert_rate)


def to_anomaly_scores(raw_scores: NDArray[np.float64], calibration: Calibration) -> AnomalyScores:
    """Return the anomaly scores of raw scores (n,).

    An anomaly score is above 1.0 if and only if the raw score is above the threshold.
    """
    centre_distance = calibration.threshold - calibration.centre
    above = raw_scores > calibration.threshold
    anomaly_score = np.maximum((raw_scores - calibration.centre) / centre_distance, 0.0)
    # Rounding errors must not move a score across 1.0: only rows above the threshold exceed 1.0.
    just_above_one = np.nextafter(1.0, 2.0)
    anomaly_score = np.where(
        above, np.maximum(anomaly_score, just_above_one), np.minimum(anomaly_score, 1.0)
    )
    return AnomalyScores(anomaly_score, above)


def p_values(raw_scores: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Return the conformal p-value (n,) of each raw score (n,).

    The p-value is (1 + number of the m calibration scores that are at least as high) / (1 + m).
    """
    count_at_least = len(calibration.scores) - _count_below(calibration.scores, raw_scores)
    return (1.0 + count_at_least.astype(np.float64)) / (1.0 + len(calibration.scores))


def _count_below(
    sorted_scores: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return, for each of `values` (n,), the number of `sorted_scores` that are below the value.

    Many values are sorted before the search, because consecutive searches then read neighbouring
    memory.
    """
    if len(values) < _MIN_VALUES_TO_SORT:
        return np.searchsorted(sorted_scores, values, side="left")
    sort_order = np.argsort(values)
    counts_below = np.empty(len(values), dtype=np.int64)
    counts_below[sort_order] = np.searchsorted(sorted_scores, values[sort_order], side="left")
    return counts_below
