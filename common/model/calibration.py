"""How a model's raw scores are read: threshold, anomaly score, p-value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused

MAX_CALIBRATION_SCORES = 100_000
_MIN_VALUES_TO_SORT = 300
MIN_CENTRE_DISTANCE = 1e-9
"""The least distance between centre and threshold, so that no anomaly score overflows."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's raw scores are read, learned from rows it was not fitted on."""

    threshold: float
    """The raw score whose anomaly score is 1.0."""
    centre: float
    """The raw score whose anomaly score is 0.0: the median of the calibration scores."""
    scores: NDArray[np.float64]
    """(m,) calibration scores, rising; at most MAX_CALIBRATION_SCORES, evenly thinned."""
    target_alert_rate: float

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        numbers = [self.threshold, self.centre, self.target_alert_rate]
        return {"calibration_scores": self.scores, "calibration": np.asarray(numbers)}


@dataclass(frozen=True, slots=True)
class AnomalyScores:
    """Raw scores as they are to be read, each (n,)."""

    anomaly_score: NDArray[np.float64]
    above: NDArray[np.bool_]
    """Whether the raw score lies strictly above the threshold."""


def calibrate(
    raw_scores: NDArray[np.float64], target_alert_rate: float, *, threshold: float | None = None
) -> Calibration:
    """Set the threshold so that `target_alert_rate` of these out-of-sample scores lie above it.

    `raw_scores` (m,) must not come from rows the model was fitted on. `threshold`: where the scores
    themselves say how rare they are.
    """
    if len(raw_scores) == 0:
        raise ValueError("no calibration scores")
    ordered = np.sort(np.asarray(raw_scores, dtype=np.float64))
    if threshold is None:
        threshold = float(np.quantile(ordered, 1.0 - target_alert_rate, method="higher"))
    centre = float(np.median(ordered))
    # Rows all (nearly) alike leave no distance to measure in: take a small one.
    centre = min(centre, threshold - max(abs(threshold) * 1e-3, MIN_CENTRE_DISTANCE))
    if len(ordered) > MAX_CALIBRATION_SCORES:
        kept_indices = (
            np.linspace(0, len(ordered) - 1, MAX_CALIBRATION_SCORES).round().astype(np.int64)
        )
        ordered = ordered[kept_indices]
    return Calibration(threshold, centre, ordered, target_alert_rate)


def calibration_from_arrays(arrays: dict[str, NDArray[Any]]) -> Calibration:
    """Build a calibration from stored arrays; raises ModelRefused where they are damaged."""
    try:
        scores, numbers = arrays["calibration_scores"], arrays["calibration"]
    except KeyError as error:
        raise ModelRefused(f"the calibration has no array {error}") from error
    valid = (
        scores.dtype == numbers.dtype == np.float64
        and scores.ndim == 1
        and len(scores) > 0
        and numbers.shape == (3,)
        and bool(np.all(np.isfinite(numbers)))
        and bool(np.all(np.isfinite(scores)))
        and bool(np.all(np.diff(scores) >= 0))
        and numbers[0] - numbers[1] >= MIN_CENTRE_DISTANCE / 2
        and 0 < numbers[2] < 1
    )
    if not valid:
        raise ModelRefused("the calibration's arrays are damaged")
    return Calibration(float(numbers[0]), float(numbers[1]), scores, float(numbers[2]))


def to_anomaly_scores(raw: NDArray[np.float64], calibration: Calibration) -> AnomalyScores:
    """Read raw scores (n,): above the threshold an anomaly score is above 1.0, else not."""
    centre_distance = calibration.threshold - calibration.centre
    above = raw > calibration.threshold
    anomaly_score = np.maximum((raw - calibration.centre) / centre_distance, 0.0)
    # So that nobody finds a row above the threshold at 1.0, or one below above it, by rounding.
    just_above_one = np.nextafter(1.0, 2.0)
    anomaly_score = np.where(
        above, np.maximum(anomaly_score, just_above_one), np.minimum(anomaly_score, 1.0)
    )
    return AnomalyScores(anomaly_score, above)


def p_values(raw: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Return conformal p-values (n,): (1 + calibration scores at least as high) / (1 + m)."""
    count_at_least = len(calibration.scores) - _count_below(calibration.scores, raw)
    return (1.0 + count_at_least.astype(np.float64)) / (1.0 + len(calibration.scores))


def _count_below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many of `ordered` (rising) lie below each wanted value (n,).

    Of many in their order the search stays where the last one ended, in memory that is near.
    """
    if len(values) < _MIN_VALUES_TO_SORT:
        return np.searchsorted(ordered, values, side="left")
    order = np.argsort(values)
    counts = np.empty(len(values), dtype=np.int64)
    counts[order] = np.searchsorted(ordered, values[order], side="left")
    return counts
