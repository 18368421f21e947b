"""Sample the rows for a fit or a calibration if there are very many rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MAX_FIT_ROWS = 100_000
"""Maximum number of rows from which forecast, forest and calibration are learned.

At a target alert rate of 0.001, about 100 of these rows raise an alarm, in about 25 bursts. The
alert rate is then known with an error of about a fifth. More rows would add little: a calibration
stores no more scores, a forest samples 25,600 rows, and a forecast of 8 signals has 136
coefficients."""
ROW_RANGE_ROWS = 100
"""Consecutive rows of one sensor that are sampled together."""
WARM_UP_ROWS = 10
"""Rows before a sampled row range that only warm up the smoothed score.

After these rows, the initial value of the smoothed score has a weight of a tenth."""


@dataclass(frozen=True)
class SensorRows:
    """The sensor of each of n rows in time order."""

    sensor: NDArray[np.int32]
    """Shape (n,). Number of each row's sensor."""

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Return the row indices (n,), sorted by sensor and then by time."""
        return np.argsort(self.sensor, kind="stable")

    @property
    def count(self) -> int:
        """Return the number of sensors."""
        return len(np.unique(self.sensor))

    def row_range_numbers(self) -> NDArray[np.int64]:
        """Return the number (n,) of each row's row range, in the order of their start times."""
        sensor = self.sensor[self.order]
        sensor_starts = np.flatnonzero(np.diff(sensor, prepend=sensor[0] - 1))
        rank = np.arange(len(sensor)) - np.repeat(
            sensor_starts, np.diff(sensor_starts, append=len(sensor))
        )
        starts_range = rank % ROW_RANGE_ROWS == 0
        range_number = np.empty(int(starts_range.sum()), dtype=np.int64)
        range_number[np.argsort(self.order[starts_range])] = np.arange(len(range_number))
        result = np.empty(len(sensor), dtype=np.int64)
        result[self.order] = range_number[np.cumsum(starts_range) - 1]
        return result

    def warm_up_mask(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask (n,) of the WARM_UP_ROWS rows of the same sensor before selected rows.

        `rows` (n,): mask of the selected rows. The result does not contain the selected rows
        themselves.
        """
        is_selected, sensor = rows[self.order], self.sensor[self.order]
        in_warm_up = np.zeros(len(is_selected), dtype=np.bool_)
        for step in range(1, WARM_UP_ROWS + 1):
            in_warm_up[:-step] |= is_selected[step:] & (sensor[step:] == sensor[:-step])
        result = np.empty(len(is_selected), dtype=np.bool_)
        result[self.order] = in_warm_up & ~is_selected
        return result


def sample_rows(sensor_rows: SensorRows, *, seed: int) -> NDArray[np.bool_]:
    """Return a mask (n,) of about MAX_FIT_ROWS rows, or of all rows if there are not more.

    The sample consists of whole row ranges. The ranges are sorted by start time and divided into
    groups of equal size, and one range of each group is drawn at random with `seed`. A regular
    choice could coincide with a season or prefer some sensors.
    """
    rows = len(sensor_rows.sensor)
    if rows <= MAX_FIT_ROWS:
        return np.ones(rows, dtype=np.bool_)
    range_number = sensor_rows.row_range_numbers()
    count = int(range_number.max()) + 1
    groups = -(-count * MAX_FIT_ROWS // rows)
    random_positions = np.random.default_rng(seed).random(groups)
    is_chosen = np.zeros(count, dtype=np.bool_)
    is_chosen[((np.arange(groups) + random_positions) * (count / groups)).astype(np.int64)] = True
    return is_chosen[range_number]
