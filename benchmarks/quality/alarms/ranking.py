"""Compare scores by the share of faulty rows that they find at the same rate of false alarms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.sensor_rows import SensorRows
from benchmarks.quality.baselines import absolute_z, forest_scores, smoothed_z
from benchmarks.quality.compared_detectors import PLAIN_RECIPE_NAME
from benchmarks.report.true_ranges import true_ranges

FALSE_ROWS = 0.01
"""Share of the normal rows that may have an alarm."""
ScoreFunction = Callable[[SensorRows], NDArray[np.float64]]
"""Returns a score (m,) of each judged row; higher is more anomalous."""


@dataclass(frozen=True, slots=True)
class FoundShares:
    """The shares that a rule finds."""

    rows: float
    """Share of the faulty rows."""
    faults: float
    """Share of the runs of faulty rows with at least one flagged row."""


def found_shares(
    score: NDArray[np.float64], is_faulty: NDArray[np.bool_], *, margin: int = 0
) -> FoundShares:
    """Return the shares of faulty rows and faults with a score above the limit.

    The limit is the score that 1 % of the normal rows exceed. `score`, `is_faulty`: shape (m,),
    rows of one sensor. `margin`: the number of rows after a fault that are neither faulty nor
    normal.
    """
    return shares_flagged(rows_above_limit(score, normal_rows(is_faulty, margin=margin)), is_faulty)


def shares_flagged(is_flagged: NDArray[np.bool_], is_faulty: NDArray[np.bool_]) -> FoundShares:
    """Return the shares of faulty rows and faults that are flagged."""
    return FoundShares(
        float(is_flagged[is_faulty].mean()),
        float(np.mean([is_flagged[first:end].any() for first, end in true_ranges(is_faulty)])),
    )


def normal_rows(is_faulty: NDArray[np.bool_], *, margin: int) -> NDArray[np.bool_]:
    """Return a mask (m,) of the rows outside the faults and the `margin` rows after each fault."""
    is_normal = ~is_faulty
    for _, end in true_ranges(is_faulty):
        is_normal[end : end + margin] = False
    return is_normal


def rows_above_limit(score: NDArray[np.float64], is_normal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask (m,) of the rows above the score that 1 % of the normal rows exceed."""
    limit = np.quantile(score[is_normal], 1 - FALSE_ROWS, method="higher")
    is_above: NDArray[np.bool_] = score > limit
    return is_above


def plain_recipe(rows: SensorRows) -> NDArray[np.float64]:
    """Return the score of the forest on raw signals, hour and day of the week."""
    return forest_scores(rows.readings, rows.train_rows)[0][rows.train_rows :]


def smoothed_mean_z(rows: SensorRows) -> NDArray[np.float64]:
    """Return the smoothed mean of the signals' absolute z-scores."""
    return smoothed_z(rows.readings, rows.train_rows)[rows.train_rows :]


def largest_z(rows: SensorRows) -> NDArray[np.float64]:
    """Return the largest absolute z-score of each row's signals."""
    z: NDArray[np.float64] = absolute_z(rows.readings, rows.train_rows).max(axis=1)
    return z[rows.train_rows :]


RULES: Mapping[str, ScoreFunction] = {
    PLAIN_RECIPE_NAME: plain_recipe,
    "EWMA of abs z": smoothed_mean_z,
    "z by signal": largest_z,
}
