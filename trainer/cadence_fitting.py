"""Fit the cadence of each sensor and of all sensors: the typical interval between two rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import DEFAULT_GAP_FACTOR
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.cadence import MIN_INTERVALS

LONG_INTERVAL_QUANTILE = 0.999
"""Quantile of a sensor's intervals that defines the long interval. One interval in a thousand is
longer.
"""
MIN_LONGER_INTERVALS = 3
"""Smallest number of a sensor's intervals that are longer than the long interval. With fewer, an
outage in a short training would increase the long interval, which would hide later gaps."""
GAP_PER_LONG_INTERVAL = 3.0
"""An interval is a gap if it is longer than this multiple of the long interval, and also longer
than DEFAULT_GAP_FACTOR cadences."""

DEFAULT_CADENCE = 60_000_000.0
"""Interval between two rows of a sensor, in microseconds, if no sensor has two rows."""


@dataclass(frozen=True, slots=True)
class Cadences:
    """The cadence of each sensor; row 0 is for sensors that training does not know."""

    cadence: NDArray[np.float64]
    """Shape (1 + sensors,). See `Levels.cadence`."""
    gap_factor: NDArray[np.float64]
    """Shape (1 + sensors,). See `Levels.gap_factor`."""


def fit_cadences(
    event_time: NDArray[np.int64], rows_of_sensors: Sequence[NDArray[np.int64]]
) -> Cadences:
    """Fit the cadence and the gap factor of each sensor.

    A sensor's cadence is the median of its intervals. Its gap factor is DEFAULT_GAP_FACTOR, or more
    if its intervals are irregular. A sensor with fewer than MIN_INTERVALS intervals gets the
    cadence 0 (learned in service) and the gap factor of row 0. This factor is fitted on the
    intervals of all other sensors, each divided by the cadence of its sensor.

    `event_time`: shape (n,), microseconds UTC. `rows_of_sensors`: for each sensor, the indices of
    its rows in time order. Rows with equal times form no interval.
    """
    cadence, gap_factor = np.zeros(1 + len(rows_of_sensors)), np.ones(1 + len(rows_of_sensors))
    relative_intervals = [np.empty(0)]
    for sensor, rows in enumerate(rows_of_sensors, start=1):
        intervals = np.diff(event_time[rows])
        intervals = np.sort(intervals[intervals > 0])
        if len(intervals) >= MIN_INTERVALS:
            middle = len(intervals) // 2
            cadence[sensor] = (intervals[middle] + intervals[-middle - 1]) / 2
            relative_intervals.append(intervals / cadence[sensor])
            gap_factor[sensor] = _gap_factor(relative_intervals[-1])
    pooled_intervals = np.sort(np.concatenate(relative_intervals))
    pooled_factor = _gap_factor(pooled_intervals) if len(pooled_intervals) else DEFAULT_GAP_FACTOR
    return Cadences(cadence, np.where(cadence > 0, gap_factor, pooled_factor))


def fleet_size_and_cadence(readings: Readings) -> tuple[int, float]:
    """Return the number of sensors, and the median interval of their rows in microseconds.

    `readings`: in time order.
    """
    order = np.argsort(readings.sensor, kind="stable")
    is_same_sensor = np.diff(readings.sensor[order]) == 0
    intervals = np.diff(readings.event_time[order])[is_same_sensor]
    intervals = intervals[intervals > 0]
    sensors = len(order) - int(is_same_sensor.sum())
    return sensors, float(np.median(intervals)) if len(intervals) else DEFAULT_CADENCE


def _gap_factor(sorted_intervals: NDArray[np.float64]) -> float:
    """Return the gap factor for intervals (n,) in ascending order, in multiples of the cadence."""
    last = len(sorted_intervals) - 1
    position = min(int(np.ceil(LONG_INTERVAL_QUANTILE * last)), last - MIN_LONGER_INTERVALS)
    return max(DEFAULT_GAP_FACTOR, GAP_PER_LONG_INTERVAL * float(sorted_intervals[position]))
