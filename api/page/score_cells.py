"""The numbers in the cells of the lanes and of the signals, and how two cells are combined."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.api.page.time_grid import Columns
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates

LANE_BYTES = 7
"""Size of a cell of the lanes."""
SIGNAL_BYTES = 32
"""Size of a cell of the signals, for each signal."""


def empty_lane_cells(steps: int, sensors: int) -> Columns:
    """Return cells without rows, shape (steps, sensors)."""
    return {
        "score": np.full((steps, sensors), -np.inf, np.float32),
        "severity": np.zeros((steps, sensors), np.uint8),
        "anomalous_rows": np.zeros((steps, sensors), np.uint16),
    }


def lane_cells(aggregates: ScoreAggregates) -> Columns:
    """Return one cell for each sensor."""
    return {
        "score": aggregates.worst_score,
        "severity": aggregates.severity.astype(np.uint8),
        "anomalous_rows": _limited_count(aggregates.anomalous_rows),
    }


def combine_lane_cells(first: Columns, second: Columns) -> Columns:
    """Return the cells for the rows of two cells: the worst score and severity, and the count."""
    counts = first["anomalous_rows"].astype(np.int64) + second["anomalous_rows"]
    return {
        "score": np.maximum(first["score"], second["score"]),
        "severity": np.maximum(first["severity"], second["severity"]),
        "anomalous_rows": _limited_count(counts),
    }


def empty_signal_cells(steps: int, sensors: int, signals: int) -> Columns:
    """Return cells without rows, shape (steps, sensors, signals)."""
    shape = (steps, sensors, signals)
    counts: Columns = {name: np.zeros(shape, np.int32) for name in ("values", "rows")}
    return counts | {name: np.full(shape, np.nan, np.float32) for name in _NUMBERS}


def signal_cells(aggregates: ScoreAggregates) -> Columns:
    """Return one cell for each sensor and signal."""
    cells: Columns = {name: getattr(aggregates, name) for name in ("values", *_NUMBERS)}
    cells["rows"] = np.broadcast_to(aggregates.rows[:, np.newaxis], cells["values"].shape)
    return cells


def combine_signal_cells(first: Columns, second: Columns) -> Columns:
    """Return the cells for the rows of two cells."""

    def mean(name: str, weights: str) -> NDArray[Any]:
        return _weighted_mean(first[name], first[weights], second[name], second[weights])

    return {
        "values": first["values"] + second["values"],
        "rows": first["rows"] + second["rows"],
        "minimum": np.fmin(first["minimum"], second["minimum"]),
        "maximum": np.fmax(first["maximum"], second["maximum"]),
        "mean": mean("mean", "values"),
        "expected": mean("expected", "rows"),
        "expected_low": mean("expected_low", "rows"),
        "expected_high": mean("expected_high", "rows"),
    }


_NUMBERS = ("minimum", "maximum", "mean", "expected", "expected_low", "expected_high")


def _weighted_mean(
    first: NDArray[Any],
    first_weight: NDArray[Any],
    second: NDArray[Any],
    second_weight: NDArray[Any],
) -> NDArray[np.float32]:
    """Return the mean of two means; a mean that is NaN has no weight."""
    first_weight = np.where(np.isnan(first), 0, first_weight)
    second_weight = np.where(np.isnan(second), 0, second_weight)
    total = first_weight + second_weight
    share = np.divide(second_weight, total, out=np.zeros(total.shape), where=total > 0)
    start = np.where(first_weight > 0, first, second)
    # The mean moves from the first to the second mean. So equal means are not changed by rounding.
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(second_weight > 0, second, start) - start
        mean: NDArray[np.float32] = (start + share * difference).astype(np.float32)
    return mean


def _limited_count(counts: NDArray[Any]) -> NDArray[np.uint16]:
    limited: NDArray[np.uint16] = np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16)
    return limited
