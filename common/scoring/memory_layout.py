"""The layout of a memory: the columns of its table of integers and its table of floats."""

from dataclasses import dataclass
from enum import IntEnum
from math import log

from sensorwatch.common.model.forecast import N_LAGS

SENSOR_TAIL_SHARE = 0.05
"""Share of a sensor's scores that belong to its tail, which consists of the highest scores."""
CLEAN_TAIL_START = -log(SENSOR_TAIL_SHARE)
"""Score, in nats, at which the tail of a sensor without faults begins."""
INITIAL_SMOOTHED_SCORE = 1.0
"""Smoothed score before a sensor's first row, in nats. The mean of a rarity is 1 nat."""
MAX_ROWS_SINCE_ALARM = 1_000_000
"""IntColumn.ROWS_SINCE_ALARM stops counting at this value."""


class IntColumn(IntEnum):
    """Columns of the table of integers; from REPEATS_START on, there is one column per signal."""

    NEWEST_TIME = 0
    """Event time of the newest row, microseconds UTC; NO_ROW_YET before the first row."""
    LEVEL_ROWS = 1
    """Number of rows from which the level was learned, at most the model's `min_rows`."""
    LAG_COUNT = 2
    """Number of lagged rows that are stored, at most N_LAGS."""
    LAST_USED = 3
    """Value of the memory's clock at the newest row; the sensor with the lowest value is evicted
    first."""
    IN_ALARM = 4
    """1 if the sensor is in an alarm, else 0."""
    ROWS_SINCE_ALARM = 5
    """Number of rows since the last anomalous row, at most MAX_ROWS_SINCE_ALARM."""
    EPISODE_START = 6
    """Stream position of the open episode's first anomalous row."""
    EPISODE_START_TIME = 7
    """Event time of the open episode's first anomalous row, microseconds UTC."""
    EPISODE_LAST_TIME = 8
    """Event time of the open episode's newest anomalous row, microseconds UTC."""
    EPISODE_ROWS = 9
    """Number of anomalous rows of the open episode; 0 if no episode is open."""
    REPEATS_START = 10
    """Number of exact repeats of the first signal's value, up to and including the newest row."""


class FloatColumn(IntEnum):
    """First columns of the table of floats; scales, lagged rows and drift follow the locations."""

    SMOOTHED_SCORE = 0
    """Exponentially weighted mean of the combined score, in nats."""
    TAIL_START = 1
    """Score at which the sensor's own tail begins, in nats."""
    TAIL_SCALE = 2
    """Mean excess of the sensor's own tail, in nats."""
    ALARM_PEAK_SCORE = 3
    """Highest raw score of the current alarm so far."""
    EPISODE_PEAK_SCORE = 4
    """Highest full score of the open episode so far (see `track_episodes`)."""
    LOCATIONS = 5
    """Location of the first measured column, in the column's unit."""


NO_ROW_YET = -(2**63)
"""Value of IntColumn.NEWEST_TIME before a sensor's first row."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a memory's two tables, derived from the schema."""

    signals: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    min_rows: int = 0
    """Number of rows from which the level of a new sensor is learned; 0 if the plan uses no
    levels."""

    @property
    def columns(self) -> int:
        """Number of measured columns of a row: signals, then context."""
        return len(self.signals) + len(self.contexts)

    @property
    def scales_start(self) -> int:
        """Float column with the first scale; there is one scale per measured column."""
        return FloatColumn.LOCATIONS + self.columns

    @property
    def lags_start(self) -> int:
        """Float column with the first value of the newest lagged row; older lagged rows follow."""
        return self.scales_start + self.columns

    @property
    def drift_start(self) -> int:
        """Float column with the first smoothed whitened residual; there is one per signal."""
        return self.lags_start + N_LAGS * self.columns

    @property
    def float_columns(self) -> int:
        """Number of columns of the table of floats."""
        return self.drift_start + len(self.signals)

    @property
    def int_columns(self) -> int:
        """Number of columns of the table of integers."""
        return IntColumn.REPEATS_START + len(self.signals)
