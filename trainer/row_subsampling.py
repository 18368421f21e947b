"""Which rows are looked at where there are more than a fit or a threshold needs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 100_000
"""At a target alert rate of 0.001 about 100 of so many clean rows alarm, in some 25 bursts: the
rate is then known to a fifth. A calibration keeps no more scores either, a forest samples 25,600
rows, and a forecast of 8 signals has 136 coefficients."""
STRETCH_ROWS = 100
"""Rows of one sensor, one after the other."""
WARM_ROWS = 10
"""Rows before a stretch that only warm what is smoothed: a tenth of what was before is left."""


@dataclass(frozen=True)
class Streams:
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

    def stretches(self) -> NDArray[np.int64]:
        """Return the number of each row's stretch (n,); they are numbered as they begin in time."""
        sensor = self.sensor[self.order]
        first = np.flatnonzero(np.diff(sensor, prepend=sensor[0] - 1))
        rank = np.arange(len(sensor)) - np.repeat(first, np.diff(first, append=len(sensor)))
        begins = rank % STRETCH_ROWS == 0
        number = np.empty(int(begins.sum()), dtype=np.int64)
        number[np.argsort(self.order[begins])] = np.arange(len(number))
        found = np.empty(len(sensor), dtype=np.int64)
        found[self.order] = number[np.cumsum(begins) - 1]
        return found

    def before(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows (n,) are among the WARM_ROWS of a sensor before one of `rows` (n,)."""
        wanted, sensor = rows[self.order], self.sensor[self.order]
        near = np.zeros(len(wanted), dtype=np.bool_)
        for step in range(1, WARM_ROWS + 1):
            near[:-step] |= wanted[step:] & (sensor[step:] == sensor[:-step])
        found = np.empty(len(wanted), dtype=np.bool_)
        found[self.order] = near & ~wanted
        return found


def spread(streams: Streams, *, seed: int) -> NDArray[np.bool_]:
    """Choose about MOST_ROWS rows (n,): stretches of single sensors, evenly over the whole time.

    Where there are no more rows than that, all. Stretches are taken as they begin in time and cut
    into equal parts, out of each of which `seed` draws one: no season falls in with that, and no
    sensor is preferred.
    """
    rows = len(streams.sensor)
    if rows <= MOST_ROWS:
        return np.ones(rows, dtype=np.bool_)
    number = streams.stretches()
    count = int(number.max()) + 1
    wanted = -(-count * MOST_ROWS // rows)
    drawn = np.random.default_rng(seed).random(wanted)
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[((np.arange(wanted) + drawn) * (count / wanted)).astype(np.int64)] = True
    return chosen[number]
