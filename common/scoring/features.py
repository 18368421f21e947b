"""The forest's input: the features of the plain plan and of the forecast plan."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.plan import Feature, FeatureContent, FeaturePlan
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_THURSDAY = 3  # the weekday of 1970-01-01


def compute_features(readings: Readings, plan: FeaturePlan) -> NDArray[np.float64]:
    """Return the matrix (n, features) of a plan without memory.

    Raises ValueError if a feature of the plan needs the memory.
    """
    matrix = np.empty((len(readings), len(plan.features)), dtype=np.float64)
    for position, feature in enumerate(plan.features):
        matrix[:, position] = _column(readings, feature)
    return matrix


def hour(event_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the hours (n,), 0 to 23, of event times (n,) in microseconds UTC."""
    return event_time % _DAY_US // _HOUR_US


def day_of_week(event_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weekdays (n,), Monday 0 to Sunday 6, of event times (n,) in microseconds UTC."""
    return (event_time // _DAY_US + _THURSDAY) % 7


def _column(readings: Readings, feature: Feature) -> NDArray[np.float64] | NDArray[np.int64]:
    match feature.kind:
        case FeatureContent.SIGNAL:
            return readings.values[:, feature.signal]
        case FeatureContent.HOUR:
            return hour(readings.event_time)
        case FeatureContent.DAY_OF_WEEK:
            return day_of_week(readings.event_time)
        case _:
            raise ValueError(
                f"the feature {feature.name!r} of kind {feature.kind} needs the memory: use "
                "`Detector.matrix`"
            )


def forecast_features(recalled: RecalledRows, row_residuals: Residuals) -> NDArray[np.float64]:
    """Return the matrix (n, 2 * signals) of the forecast plan.

    The columns are whitened residuals, then standardised signals.
    """
    signals = row_residuals.whitened.shape[1]
    return np.concatenate([row_residuals.whitened, recalled.standardised[:, :signals]], axis=1)
