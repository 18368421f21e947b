"""Where each thing that is remembered of a sensor stands in its two lines of numbers."""

from dataclasses import dataclass
from enum import IntEnum
from math import log

from sensorwatch.common.model.forecast import LAGS

OWN_SHARE = 0.05
"""The highest so many of a sensor's own scores are its tail."""
OWN_START = -log(OWN_SHARE)
"""Nats at which the tail of a clean sensor begins."""
USUAL = 1.0
"""The smoothed score before the first row: the mean of a rarity."""
LONG_QUIET = 1_000_000


class Whole(IntEnum):
    """The first columns of a sensor's whole numbers; its runs of exact repeats follow."""

    TIME = 0
    """Event time of its newest row, microseconds UTC; NEVER before the first."""
    SEEN = 1
    """Rows that its level was learned from, at most the model's `min_rows`."""
    HELD = 2
    """How many lags there are."""
    TOUCHED = 3
    """Number of its newest row among those of the stream: who is evicted first."""
    ALARMED = 4
    """1 while its decision is anomalous."""
    QUIET = 5
    """Rows since its last anomalous one, at most LONG_QUIET."""
    EPISODE = 6
    """Position of the first anomalous row of the open episode."""
    EPISODE_TIME = 7
    EPISODE_LAST = 8
    """Event times of its first and of its newest anomalous row."""
    EPISODE_ROWS = 9
    """Anomalous rows of the open episode; 0: none is open."""
    RUNS = 10


class Real(IntEnum):
    """The first columns of a sensor's floats; location, scale, lags and drift follow."""

    SMOOTHED = 0
    """The EWMA of its combined score."""
    TAIL_START = 1
    TAIL_SCALE = 2
    """Its own tail: where it begins and how fast it falls, in nats."""
    HABIT = 3
    """The highest raw score of its alarm so far: what it has got used to."""
    PEAK = 4
    """Highest full score of the open episode."""
    LEVELS = 5


NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a memory, which follow from the schema."""

    signals: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    min_rows: int = 0
    """Rows that a sensor's own level is learned from; 0: the plan needs none."""

    @property
    def columns(self) -> int:
        """How many measured columns a row has: signals, then context."""
        return len(self.signals) + len(self.contexts)

    @property
    def scale(self) -> int:
        """Where the scales begin, one per column; before them the locations."""
        return Real.LEVELS + self.columns

    @property
    def lags(self) -> int:
        """Where the newest lag begins; the older ones follow."""
        return self.scale + self.columns

    @property
    def drift(self) -> int:
        """Where the smoothed whitened residuals begin, one per signal."""
        return self.lags + LAGS * self.columns

    @property
    def reals(self) -> int:
        """How many floats a sensor has."""
        return self.drift + len(self.signals)

    @property
    def wholes(self) -> int:
        """How many whole numbers a sensor has."""
        return Whole.RUNS + len(self.signals)
