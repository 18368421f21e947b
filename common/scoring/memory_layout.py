"""The layout of a memory: the columns of its table of integers and its table of floats."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from math import log
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.levels import DEFAULT_GAP_FACTOR

SENSOR_TAIL_SHARE = 0.05
"""Share of a sensor's scores that belong to its tail, which consists of the highest scores."""
CLEAN_TAIL_START = -log(SENSOR_TAIL_SHARE)
"""Score, in nats, at which the tail of a sensor without faults begins."""
INITIAL_SMOOTHED_SCORE = 1.0
"""Smoothed score before a sensor's first row, in nats. The mean of a rarity is 1 nat."""
MAX_ROWS_SINCE_ALARM = 1_000_000
"""IntColumn.ROWS_SINCE_ALARM stops counting at this value."""


NO_ROW_YET = -(2**63)
"""Value of IntColumn.NEWEST_TIME before a sensor's first row."""
NOT_SILENT = -1
"""Value of IntColumn.SILENT_POSITION of a sensor that is not silent."""
NO_REFERENCE = -1
"""Value of IntColumn.REFERENCE_ROWS before a sensor has a reference level."""


class _TableColumn(IntEnum):
    """A column of a table with its initial value; as an integer, it is the column's position."""

    initial: float

    def __new__(cls, position: int, initial: float) -> Self:
        """Create a column; its value as an integer is its position in the table."""
        column = int.__new__(cls, position)
        column._value_ = position
        column.initial = initial
        return column


class IntColumn(_TableColumn):
    """Columns of the table of integers, each with its position and its initial value.

    At REPEATS_START begin the columns for the repeats, one per signal. The columns for the rows at
    a new level follow, one per signal (`Layout.away_rows_start`). A sensor has the initial value
    before its first row, or if its snapshot was written by older code without the column.
    """

    NEWEST_TIME = 0, NO_ROW_YET
    """Event time of the newest row, microseconds UTC; NO_ROW_YET before the first row."""
    LEVEL_ROWS = 1, 0
    """Number of rows from which the level was learned, at most the model's `min_rows`."""
    LAG_COUNT = 2, 0
    """Number of lagged rows that are stored, at most N_LAGS."""
    LAST_USED = 3, 0
    """Value of the memory's clock at the newest row; the sensor with the lowest value is evicted
    first."""
    IN_ALARM = 4, 0
    """1 if the sensor is in an alarm, else 0."""
    ROWS_SINCE_ALARM = 5, MAX_ROWS_SINCE_ALARM
    """Number of rows since the last anomalous row, at most MAX_ROWS_SINCE_ALARM."""
    EPISODE_START = 6, 0
    """Stream position of the open episode's first anomalous row."""
    EPISODE_START_TIME = 7, 0
    """Event time of the open episode's first anomalous row, microseconds UTC."""
    EPISODE_LAST_TIME = 8, 0
    """Event time of the open episode's newest anomalous row, microseconds UTC."""
    EPISODE_ROWS = 9, 0
    """Number of anomalous rows of the open episode; 0 if no episode is open."""
    CADENCE_INTERVALS = 10, 0
    """Number of intervals from which the cadence was learned, at most LEARNED_INTERVALS; see
    `update_cadence`."""
    CADENCE_RUN = 11, 0
    """Number of successive intervals up to the newest that were longer than the cadence; negative
    if they were shorter."""
    REFERENCE_ROWS = 12, NO_REFERENCE
    """Number of rows since the sensor's reference level was set; NO_REFERENCE if it has none."""
    ALARM_ROWS = 13, 0
    """Number of rows of the current alarm; 0 if the sensor is not in an alarm."""
    EPISODE_ODD_ROWS = 14, 0
    """Number of rows of the open episode with a large offset or conditional residual."""
    EPISODE_LARGE_ROWS = 15, 0
    """Number of the rows counted in EPISODE_ODD_ROWS that have a large offset."""
    EPISODE_STUCK_ROWS = 16, 0
    """Number of rows of the open episode with a long run of exact repeats."""
    RECENT_ALARMS = 17, 0
    """Changes, number and suppression of the sensor's recent alarms as one bit field; see
    `news`."""
    RECENT_TIME = 18, 0
    """Event time of the newest row of the recent alarms, microseconds UTC."""
    SILENCE_LAST = 19, NO_ROW_YET
    """Event time of the newest row that `track_silences` counted; NO_ROW_YET before it."""
    SILENCE_CADENCE = 20, 0
    """Cadence of the sensor at this row, in microseconds; 0 if it was not learned."""
    SILENCE_LIMIT = 21, 0
    """Limit of the sensor at this row, in microseconds; 0 if it has no limit."""
    SILENCE_DEADLINE = 22, 2**63 - 1
    """Event time of the partition after which the sensor is silent; see NO_DEADLINE."""
    SILENCE_PAUSES = 23, 0
    """1 if a pause of the partition moved the deadline since the newest row, else 0."""
    SILENT_POSITION = 24, NOT_SILENT
    """Stream position of the row that revealed the sensor's silence, or NOT_SILENT."""
    SILENT_NUMBER = 25, 0
    """Number of the sensor among those whose silence the same row revealed."""
    CLOCK_DELAY = 26, NO_ROW_YET
    """Smoothed time from event time to receipt, in microseconds; NO_ROW_YET before the first."""
    EPISODE_RULE = 27, 0
    """Number of the rule or calendar window that suppresses the open or newest episode; 0 if no
    policy suppresses it. See `rule_key`."""
    REPEATS_START = 28, 0
    """Number of exact repeats of the first signal's value, up to and including the newest row."""


class FloatColumn(_TableColumn):
    """First columns of the table of floats, each with its position and its initial value.

    These columns follow the locations: scales, lagged rows, drift, reference levels, and the
    smoothed deviations from the reference levels. A sensor has the initial value before its first
    row, or if its snapshot was written by older code without the column.
    """

    SMOOTHED_SCORE = 0, INITIAL_SMOOTHED_SCORE
    """Exponentially weighted mean of the combined score, in nats."""
    TAIL_START = 1, CLEAN_TAIL_START
    """Score at which the sensor's own tail begins, in nats."""
    TAIL_SCALE = 2, 1.0
    """Mean excess of the sensor's own tail, in nats."""
    ALARM_PEAK_SCORE = 3, 0.0
    """Highest raw score of the current alarm so far."""
    EPISODE_PEAK_SCORE = 4, 0.0
    """Highest full score of the open episode so far (see `track_episodes`)."""
    CADENCE = 5, 0.0
    """Typical interval between two rows of the sensor, in microseconds; 0 before the first
    interval."""
    GAP_FACTOR = 6, DEFAULT_GAP_FACTOR
    """A gap is longer than this multiple of the cadence."""
    EPISODE_RATE = 7, 0.0
    """Number of false episodes per day of a clean sensor whose peak is at least that of the open
    episode."""
    REFERENCE_ERROR = 8, 0.0
    """Variance of the sensor's reference level, in squared scales."""
    ALARM_MEAN_SCORE = 9, 0.0
    """Smoothed score of the rows of the current alarm, in nats, before conversion by the sensor's
    own tail."""
    ALARM_RECENT_SCORE = 10, 0.0
    """Highest recent score of the current alarm after conversion by the sensor's own tail, in nats;
    it decays with each row."""
    EPISODE_ONSET = 11, 0.0
    """Smoothed offset at the beginning of the open episode, as a share of the offset; near 0 if the
    episode began with a jump, see `track_patterns`."""
    EPISODE_START_EXCESS = 12, 0.0
    """Size of the excess at the open episode's first odd row; see `track_patterns`."""
    EPISODE_EXCESS_SUM = 13, 0.0
    """Sum of the signed excesses of the open episode's odd rows, see `track_patterns`."""
    EPISODE_EXCESS_SQUARES = 14, 0.0
    """Sum of the squares of the excesses of EPISODE_EXCESS_SUM."""
    EPISODE_PRODUCTS = 15, 0.0
    """Sum over the odd rows of the leading signal's residual times its expectation given the
    residuals of the other signals."""
    EPISODE_RESIDUAL_SQUARES = 16, 0.0
    """Sum over the odd rows of the square of the leading signal's residual."""
    EPISODE_EXPECTED_SQUARES = 17, 0.0
    """Sum over the odd rows of the square of the expectation in EPISODE_PRODUCTS."""
    RECENT_RATE = 18, 0.0
    """Lowest EPISODE_RATE of the sensor's recent alarms; 0 if there are none."""
    LOCATIONS = 19, 0.0
    """Location of the first measured column, in the column's unit."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a memory's two tables, derived from the schema."""

    signals: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    min_rows: int = 0
    """Number of rows from which the level of a new sensor is learned; 0 if the plan uses no
    levels."""
    counters: tuple[int, ...] = ()
    """Position of each counter among the measured columns."""

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
        """First float column of the smoothed whitened residuals; each signal has one column."""
        return self.lags_start + N_LAGS * self.columns

    @property
    def float_columns(self) -> int:
        """Number of columns of the table of floats."""
        return self.counters_start + len(self.counters)

    @property
    def int_columns(self) -> int:
        """Number of columns of the table of integers."""
        return self.counters_time + len(self.counters)

    @property
    def counters_start(self) -> int:
        """Float column with the last value of the first counter; there is one per counter."""
        return self.deviations_start + len(self.signals)

    @property
    def references_start(self) -> int:
        """Float column with the first reference level; there is one per signal."""
        return self.drift_start + len(self.signals)

    @property
    def former_references_start(self) -> int:
        """Float column with the first former reference level; there is one per signal.

        It equals the reference level until the signal gets a new one.
        """
        return self.references_start + len(self.signals)

    @property
    def deviations_start(self) -> int:
        """Float column with the first smoothed deviation from a reference level, in scales."""
        return self.former_references_start + len(self.signals)

    @property
    def away_rows_start(self) -> int:
        """Integer column with the number of rows away from its level of the first signal."""
        return IntColumn.REPEATS_START + len(self.signals)

    @property
    def counters_time(self) -> int:
        """Integer column with the time of the last value of the first counter.

        There is one per counter, in microseconds UTC; NO_ROW_YET if there is no last value.
        """
        return self.away_rows_start + len(self.signals)

    @property
    def counter_names(self) -> list[str]:
        """The names of the counters in order."""
        measured = (*self.signals, *self.contexts)
        return [measured[position] for position in self.counters]

    @property
    def float_column_names(self) -> tuple[str, ...]:
        """The name of each column of the table of floats, as a snapshot stores it."""
        measured = (*self.signals, *self.contexts)
        names = [column.name.lower() for column in FloatColumn]
        return (
            *names[: FloatColumn.LOCATIONS],
            *(f"location {name}" for name in measured),
            *(f"scale {name}" for name in measured),
            *(f"lag {lag} {name}" for lag in range(1, N_LAGS + 1) for name in measured),
            *(f"drift {name}" for name in self.signals),
            *(f"reference {name}" for name in self.signals),
            *(f"former reference {name}" for name in self.signals),
            *(f"deviation {name}" for name in self.signals),
            *(f"counter {name}" for name in self.counter_names),
        )

    @property
    def int_column_names(self) -> tuple[str, ...]:
        """The name of each column of the table of integers, as a snapshot stores it."""
        names = [column.name.lower() for column in IntColumn]
        return (
            *names[: IntColumn.REPEATS_START],
            *(f"repeats {name}" for name in self.signals),
            *(f"away {name}" for name in self.signals),
            *(f"counter time {name}" for name in self.counter_names),
        )


@lru_cache(maxsize=8)
def initial_values(layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the initial value of each column of the two tables of a memory.

    The shapes are (float_columns,) and (int_columns,). The columns that are derived from the schema
    have the initial value 0, except the times of counters, which have NO_ROW_YET. The arrays are
    shared, so they cannot be written to.
    """
    floats = np.zeros(layout.float_columns)
    floats[: len(FloatColumn)] = [column.initial for column in FloatColumn]
    ints = np.zeros(layout.int_columns, dtype=np.int64)
    ints[: len(IntColumn)] = [column.initial for column in IntColumn]
    ints[layout.counters_time :] = NO_ROW_YET
    floats.flags.writeable = ints.flags.writeable = False
    return floats, ints
