"""Which rows are looked at where there are more than a fit or a threshold needs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MAX_FIT_ROWS = 100_000
"""At a target alert rate of 0.001 about 100 of so many clean rows alarm, in some 25 bursts: the
rate is then known to a fifth. A calibration keeps no more scores either, a forest samples 25,600
rows, and a forecast of 8 signals has 136 coefficients."""
RUN_ROWS = 100
"""Rows of one sensor, one after the other."""
WARM_UP_ROWS = 10
"""Rows before a stretch that only warm what is smoothed: a tenth of what was before is left."""


@dataclass(frozen=True)
class SensorRows:
    """The rows (n,) of one table, sensor after sensor."""

    sensor: NDArray[np.int32]
    """(n,) in time order."""

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(n,) positions, by sensor and then by time."""
        return np.argsort(self.sensor, kind="stable")

    @property
    def count(self) -> int:
        """How many sensors have a row."""
        return len(np.unique(self.sensor))

    def run_numbers(self) -> NDArray[np.int64]:
        """Return the number of each row's stretch (n,); they are numbered as they begin in time."""
        sensor = self.sensor[self.order]
        first = np.flatnonzero(np.diff(sensor, prepend=sensor[0] - 1))
        rank = np.arange(len(sensor)) - np.repeat(first, np.diff(first, append=len(sensor)))
        run_starts = rank % RUN_ROWS == 0
        run_number = np.empty(int(run_starts.sum()), dtype=np.int64)
        run_number[np.argsort(self.order[run_starts])] = np.arange(len(run_number))
        result = np.empty(len(sensor), dtype=np.int64)
        result[self.order] = run_number[np.cumsum(run_starts) - 1]
        return result

    def warm_up_mask(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows (n,) are among the WARM_ROWS of a sensor before one of `rows` (n,)."""
        run_count, sensor = rows[self.order], self.sensor[self.order]
        in_warm_up = np.zeros(len(run_count), dtype=np.bool_)
        for step in range(1, WARM_UP_ROWS + 1):
            in_warm_up[:-step] |= run_count[step:] & (sensor[step:] == sensor[:-step])
        result = np.empty(len(run_count), dtype=np.bool_)
        result[self.order] = in_warm_up & ~run_count
        return result


def sample_rows(streams: SensorRows, *, seed: int) -> NDArray[np.bool_]:
    """Choose about MOST_ROWS rows (n,): stretches of single sensors, evenly over the whole time.

    Where there are no more rows than that, all. Stretches are taken as they begin in time and cut
    into equal parts, out of each of which `seed` draws one: no season falls in with that, and no
    sensor is preferred.
    """
    rows = len(streams.sensor)
    if rows <= MAX_FIT_ROWS:
        return np.ones(rows, dtype=np.bool_)
    run_number = streams.run_numbers()
    count = int(run_number.max()) + 1
    run_count = -(-count * MAX_FIT_ROWS // rows)
    drawn = np.random.default_rng(seed).random(run_count)
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[((np.arange(run_count) + drawn) * (count / run_count)).astype(np.int64)] = True
    return chosen[run_number]
