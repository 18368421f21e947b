"""The cycles that a season can have: days, weeks, and two types of days."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.season import DAY, WEEK, bins_at

MIN_CYCLES = 3
"""Minimum number of whole cycles.

With fewer cycles, a season cannot be distinguished from chance."""
DAILY_BINS = (24, 48, 96)
"""Numbers of bins per day that are tried for a daily season."""
DAYS_OF_WEEK = (3, 4, 5, 6, 0, 1, 2)
"""The days of a week of `Season`, which begins on a Thursday; 0 is Monday, 5 and 6 the weekend."""
FIRST_WEEKEND_DAY = 5


class Cycle(StrEnum):
    """The kind of cycle that repeats in a season."""

    DAY = "day"
    WEEK = "week"
    """Each hour of the week has its own value."""
    DAY_TYPE = "working days and weekends"
    """All working days have the same profile; Saturday and Sunday have a second one."""


_TRIED_CYCLES = (
    *((Cycle.DAY, DAY, bins) for bins in DAILY_BINS),
    (Cycle.WEEK, WEEK, 7 * DAILY_BINS[0]),
    *((Cycle.DAY_TYPE, DAY, bins) for bins in DAILY_BINS),
)
"""The cycles and numbers of bins in the order in which they are tried. DAY comes before DAY_TYPE,
because the fit compares DAY_TYPE with DAY."""


@dataclass(frozen=True, slots=True)
class CycleGrid:
    """The cycle that contains each instant, and the bin of the instant in its cycle."""

    kind: Cycle
    bins: int
    """Bins per cycle; for DAY_TYPE, the sum over both types of days."""
    cycle: NDArray[np.int64]
    """Shape (n,). Index of the cycle of each time. Cycles without rows have no index."""
    cycles: int
    bin: NDArray[np.int64]
    """Shape (n,). Index of each time's bin in the cycle."""


def cycle_grids(local_time: NDArray[np.int64], step: float, span: float) -> Iterator[CycleGrid]:
    """Yield a grid for each cycle and number of bins for which the times span enough cycles."""
    for kind, period, bins in _TRIED_CYCLES:
        if step <= 0 or span < MIN_CYCLES * period or period / bins < step:
            continue
        cycle_numbers, cycle = np.unique(local_time // period, return_inverse=True)
        bin_of_row, min_cycles = bins_at(local_time, period, bins), len(cycle_numbers)
        if kind is Cycle.DAY_TYPE:
            is_weekend = np.asarray(DAYS_OF_WEEK)[cycle_numbers % 7] >= FIRST_WEEKEND_DAY
            bin_of_row = bin_of_row + bins * is_weekend[cycle]
            min_cycles = min(int(is_weekend.sum()), int((~is_weekend).sum()))
        if min_cycles >= MIN_CYCLES:
            all_bins = 2 * bins if kind is Cycle.DAY_TYPE else bins
            yield CycleGrid(kind, all_bins, cycle, len(cycle_numbers), bin_of_row)
