"""Sample rows for a fit or a calibration that has very many rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MAX_FIT_ROWS = 100_000
"""Maximum number of rows from which forecast, forest and calibration are learned.

At a target alert rate of 0.001, about 100 of these rows raise an alarm, in about 25 bursts. The
alert rate is then known with a relative error of about a fifth. More rows would add little: a
calibration stores at most this number of scores, a forest samples 25,600 rows, and a forecast of 8
signals has 136 coefficients."""
ROW_RANGE_ROWS = 100
"""Length of a row range: consecutive rows of one sensor that are sampled together."""
WARM_UP_ROWS = 10
"""Number of rows before a sampled row range that are used only to warm up the smoothed score.

After these rows, the initial value of the smoothed score has a weight of a tenth."""


@dataclass(frozen=True)
class SensorRows:
    """The sensors of n rows in time order."""

    sensor: NDArray[np.int32]
    """Shape (n,). For each row, the number of its sensor."""

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Return the row indices (n,), sorted by sensor and then by time."""
        return np.argsort(self.sensor, kind="stable")

    @property
    def sensor_count(self) -> int:
        """Return the number of sensors."""
        return len(np.unique(self.sensor))

    def range_number_of_rows(self) -> NDArray[np.int64]:
        """Return for each row the number (n,) of its range. Ranges are numbered by start time."""
        sensor = self.sensor[self.order]
        sensor_starts = np.flatnonzero(np.diff(sensor, prepend=sensor[0] - 1))
        position_in_sensor = np.arange(len(sensor)) - np.repeat(
            sensor_starts, np.diff(sensor_starts, append=len(sensor))
        )
        is_range_start = position_in_sensor % ROW_RANGE_ROWS == 0
        range_number = np.empty(int(is_range_start.sum()), dtype=np.int64)
        range_number[np.argsort(self.order[is_range_start])] = np.arange(len(range_number))
        result = np.empty(len(sensor), dtype=np.int64)
        result[self.order] = range_number[np.cumsum(is_range_start) - 1]
        return result

    def warm_up_mask(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask (n,) of warm-up rows: the WARM_UP_ROWS rows before each selected row.

        Only rows of the same sensor count. `rows` (n,): mask of the selected rows, which are never
        warm-up rows.
        """
        is_selected, sensor = rows[self.order], self.sensor[self.order]
        in_warm_up = np.zeros(len(is_selected), dtype=np.bool_)
        for row_offset in range(1, WARM_UP_ROWS + 1):
            in_warm_up[:-row_offset] |= is_selected[row_offset:] & (
                sensor[row_offset:] == sensor[:-row_offset]
            )
        result = np.empty(len(is_selected), dtype=np.bool_)
        result[self.order] = in_warm_up & ~is_selected
        return result


def sample_rows(sensor_rows: SensorRows, *, seed: int) -> NDArray[np.bool_]:
    """Return a mask (n,) that selects about MAX_FIT_ROWS rows, or all rows if there are fewer.

    The sample consists of whole row ranges. The ranges are sorted by start time and divided into
    groups of equal size, and one range of each group is drawn at random with `seed`. A choice at
    regular intervals could coincide with a season or prefer some sensors.
    """
    rows = len(sensor_rows.sensor)
    if rows <= MAX_FIT_ROWS:
        return np.ones(rows, dtype=np.bool_)
    range_number = sensor_rows.range_number_of_rows()
    range_count = int(range_number.max()) + 1
    group_count = -(-range_count * MAX_FIT_ROWS // rows)
    random_positions = np.random.default_rng(seed).random(group_count)
    is_chosen = np.zeros(range_count, dtype=np.bool_)
    is_chosen[
        ((np.arange(group_count) + random_positions) * (range_count / group_count)).astype(np.int64)
    ] = True
    return is_chosen[range_number]
