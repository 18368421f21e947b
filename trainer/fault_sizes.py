"""The sizes of faults: the spread of each signal, and the sizes that are possible."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.field_declarations import ColumnKind, NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.simulation.faults import FaultKind


@dataclass(frozen=True, slots=True)
class FaultSizes:
    """The spread and the limits of each of k signals; every array has shape (k,)."""

    columns: tuple[NumericColumn, ...]
    """The declarations of the signals."""
    spread: NDArray[np.float64]
    """One spread, in the signal's unit; 0 if the signal never changes.

    For an angle, this is the spread of its changes from row to row. The spread of the values has no
    meaning for a direction that turns around the full circle."""
    value_spread: NDArray[np.float64]
    """The spread of the values; for an angle, the spread of the distances from its mean
    direction."""
    low: NDArray[np.float64]
    """Smallest possible value; 0 for the rate of a counter."""
    high: NDArray[np.float64]
    """Largest possible value."""

    @property
    def varying(self) -> NDArray[np.int64]:
        """The indices of the signals that change."""
        return np.flatnonzero(self.spread > 0)

    @property
    def rates(self) -> NDArray[np.int64]:
        """The indices of the counters, whose values are rates here."""
        return np.flatnonzero([column.kind is ColumnKind.COUNTER for column in self.columns])

    def possible(self, size: float) -> NDArray[np.int64]:
        """Return the indices of the signals for which a fault of `size` spreads is possible."""
        largest_distances = np.asarray([_largest_distance(column) for column in self.columns])
        is_possible = (self.spread > 0) & (size * self.spread <= largest_distances)
        return np.flatnonzero(is_possible)

    def shifts(self, kind: FaultKind, size: float) -> NDArray[np.float64]:
        """Return the change (signals,) by a fault of `size` spreads, in the signal's unit.

        The size of an angle's fault is the straight-line distance between two points on the circle.
        So half a circle is the largest fault.
        """
        if kind is FaultKind.BROKEN_CORRELATION:
            return size * self.value_spread  # the signal keeps the spread of its values
        shifts = size * self.spread
        for index, column in enumerate(self.columns):
            if column.wrap is not None:
                share = min(shifts[index] / _largest_distance(column), 1.0)
                shifts[index] = math.asin(share) / math.pi * column.wrap
        return shifts

    def impossible_text(self, size: float) -> list[str]:
        """Return a sentence for each varying signal for which a fault of `size` is impossible."""
        possible_signals = self.possible(size)
        return [
            f"signal {column.name}: spikes of {size:g} spreads cannot be seen, because its changes "
            f"from row to row have a spread of {spread:.3g}, and the largest possible change, half "
            f"a circle, is only {_largest_distance(column) / spread:.2g} spreads"
            for index, (column, spread) in enumerate(
                zip(self.columns, self.spread.tolist(), strict=True)
            )
            if spread > 0 and index not in possible_signals
        ]


def fault_sizes(readings: Readings, schema: Schema) -> FaultSizes:
    """Return the sizes of faults in `readings`: rows of `fault_rows`, in time order.

    `schema`: the schema of the rows before `fault_rows`.
    """
    values = readings.values.T
    value_spread = np.asarray([robust_spread(signal) for signal in values])
    spread = value_spread.copy()
    for index, column in enumerate(schema.signals):
        if column.wrap is not None:
            spread[index] = robust_spread(_angle_steps(values[index], readings.sensor, column.wrap))
    low, high = np.transpose([_bounds(column) for column in schema.signals])
    return FaultSizes(schema.signals, spread, value_spread, low, high)


def robust_spread(values: NDArray[np.float64]) -> float:
    """Return the spread of values (n,), robust against outliers.

    The spread is the interquartile range, scaled to the standard deviation of a normal
    distribution. If the interquartile range is 0, the spread is the standard deviation. The spread
    of equal values is 0. Missing values (NaN) are ignored.
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return 0.0
    low, high = np.quantile(values, (0.25, 0.75))
    return float((high - low) / 1.349 if high > low else values.std())


def _angle_steps(
    angles: NDArray[np.float64], sensor: NDArray[np.int32], wrap: float
) -> NDArray[np.float64]:
    """Return the changes of each sensor's angles (n,) from row to row, at most half a circle."""
    order = np.argsort(sensor, kind="stable")
    steps = np.diff(angles[order])[np.diff(sensor[order]) == 0]
    nearest: NDArray[np.float64] = (steps + wrap / 2) % wrap - wrap / 2
    return nearest


def _bounds(column: NumericColumn) -> tuple[float, float]:
    if column.wrap is not None:
        return -math.inf, math.inf
    return (0.0, math.inf) if column.kind is ColumnKind.COUNTER else column.bounds


def _largest_distance(column: NumericColumn) -> float:
    """Return the diameter of an angle's circle, in the angle's unit; infinite for other columns."""
    return math.inf if column.wrap is None else column.wrap / math.pi
