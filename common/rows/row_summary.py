"""A summary of a source's rows (times, sensors, order), and warnings about likely mistakes."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema

_WARNING_SHARE = 0.05
_YEAR_2000 = 946_684_800_000_000
_FEW_ROWS = 2
_MAX_HELD = 8
"""A line names at most this number of columns with missing values."""


@dataclass(frozen=True, slots=True)
class RowSummary:
    """Counts of valid rows in the order of their source."""

    rows: int
    late: int
    """Number of rows that are older than an earlier row of their sensor."""
    duplicate: int
    """Number of rows with the same time as the newest earlier row of their sensor."""
    first_time: int
    """The earliest event time, in microseconds UTC."""
    last_time: int
    """The latest event time, in microseconds UTC."""
    rows_per_sensor: NDArray[np.int64]
    """Shape (sensors,). The number of rows of each sensor, sorted."""
    missing: NDArray[np.int64]
    """Shape (columns,). Number of rows without a value of each signal and context column."""


class RowSummaryBuilder:
    """Summarizes rows that arrive in batches."""

    def __init__(self) -> None:
        self._late = self._duplicate = 0
        self._rows_of_sensor: dict[str, int] = {}
        self._newest_time_of_sensor: dict[str, int] = {}
        self._first_time = self._last_time = 0
        self._missing = np.zeros(0, dtype=np.int64)

    def add(self, readings: Readings) -> None:
        """Add the next rows of the source."""
        if len(readings) == 0:
            return
        first_time, last_time = int(readings.event_time.min()), int(readings.event_time.max())
        is_first_batch = not self._rows_of_sensor
        self._first_time = first_time if is_first_batch else min(self._first_time, first_time)
        self._last_time = last_time if is_first_batch else max(self._last_time, last_time)
        self._count_order(readings)
        columns = np.concatenate([readings.values, readings.context], axis=1)
        missing = np.isnan(columns).sum(axis=0)
        self._missing = missing if is_first_batch else self._missing + missing
        counts = np.bincount(readings.sensor, minlength=len(readings.sensor_ids))
        for sensor_id, count in zip(readings.sensor_ids, counts.tolist(), strict=True):
            if count:
                self._rows_of_sensor[sensor_id] = self._rows_of_sensor.get(sensor_id, 0) + count

    def summary(self) -> RowSummary:
        """Return the summary of all rows that were added."""
        rows_per_sensor = np.sort(np.fromiter(self._rows_of_sensor.values(), dtype=np.int64))
        return RowSummary(
            rows=int(rows_per_sensor.sum()),
            late=self._late,
            duplicate=self._duplicate,
            first_time=self._first_time,
            last_time=self._last_time,
            rows_per_sensor=rows_per_sensor,
            missing=self._missing,
        )

    def _count_order(self, readings: Readings) -> None:
        """Count late and duplicate rows, and store the newest time of each sensor."""
        known_numbers, known_times = [], []
        for number, sensor_id in enumerate(readings.sensor_ids):
            newest_time = self._newest_time_of_sensor.get(sensor_id)
            if newest_time is not None:
                known_numbers.append(number)
                known_times.append(newest_time)
        sensor = np.concatenate([np.asarray(known_numbers, dtype=np.int64), readings.sensor])
        time = np.concatenate([np.asarray(known_times, dtype=np.int64), readings.event_time])
        is_row = np.arange(len(sensor)) >= len(known_numbers)
        order = np.argsort(sensor, kind="stable")
        sensor, is_row = sensor[order], is_row[order]
        distinct_times, rank = np.unique(time[order], return_inverse=True)
        # Ranks of a later sensor are larger, so the running maximum starts again at each sensor.
        rank_in_sensor = sensor * len(distinct_times) + rank
        newest_before = np.maximum.accumulate(rank_in_sensor)[:-1]
        is_next_row = is_row[1:] & (sensor[1:] == sensor[:-1])
        self._late += int(np.sum(is_next_row & (rank_in_sensor[1:] < newest_before)))
        self._duplicate += int(np.sum(is_next_row & (rank_in_sensor[1:] == newest_before)))
        last_positions = np.append(np.flatnonzero(sensor[1:] != sensor[:-1]), len(sensor) - 1)
        newest_ranks = np.maximum.accumulate(rank_in_sensor)[last_positions] % len(distinct_times)
        for number, newest_time in zip(
            sensor[last_positions].tolist(), distinct_times[newest_ranks].tolist(), strict=True
        ):
            self._newest_time_of_sensor[readings.sensor_ids[number]] = newest_time


def summarize(readings: Readings) -> RowSummary:
    """Return the summary of rows in their input order."""
    builder = RowSummaryBuilder()
    builder.add(readings)
    return builder.summary()


def summary_lines(summary: RowSummary) -> Iterator[str]:
    """Yield lines about the times and sensors of the rows."""
    if summary.rows == 0:
        return
    counts = summary.rows_per_sensor
    yield f"times      {format_instant(summary.first_time)} to {format_instant(summary.last_time)}"
    if counts[0] == counts[-1]:
        row_word = "row" if counts[0] == 1 else "rows"
        each = " each" if len(counts) > 1 else ""
        yield f"sensors    {len(counts)}, with {counts[0]} {row_word}{each}"
    else:
        yield (
            f"sensors    {len(counts)}, with {counts[0]} to {counts[-1]} rows each, "
            f"median {np.median(counts):g}"
        )


def held_lines(summary: RowSummary, schema: Schema) -> Iterator[str]:
    """Yield a line with the share of missing values of each column that has any."""
    if not summary.missing.any():
        return
    names = (*schema.signal_names, *schema.context_names)
    shares = sorted(zip((summary.missing / summary.rows).tolist(), names, strict=True))
    texts = [f"{name!r} in {share:.1%}" for share, name in reversed(shares) if share]
    more = f" and {len(texts) - _MAX_HELD} more columns" if len(texts) > _MAX_HELD else ""
    yield f"held       {', '.join(texts[:_MAX_HELD])}{more} of rows: the last value is used"


class RowOrderUse(Enum):
    """What a command does with the order of the rows."""

    SCORES_IN_GIVEN_ORDER = "scored in order"
    SORTS_BY_TIME = "sorted by time"


def summary_warnings(
    summary: RowSummary, schema: Schema, order_use: RowOrderUse = RowOrderUse.SCORES_IN_GIVEN_ORDER
) -> Iterator[str]:
    """Yield a warning, with the remedy, for each likely mistake in the data or the schema."""
    if summary.rows == 0:
        return
    if summary.last_time < _YEAR_2000:
        yield (
            f"all times are before the year 2000 (the last is {format_instant(summary.last_time)})"
            f": check [time] format, which is {', '.join(schema.time.formats)}"
        )
    names = (*schema.signal_names, *schema.context_names)
    for name, missing in zip(names, summary.missing.tolist(), strict=True):
        if missing == summary.rows:
            yield f"no row has a value of {name!r}: check whether its field has another name"
    median_rows = np.median(summary.rows_per_sensor)
    if schema.key is not None and len(summary.rows_per_sensor) > 1 and median_rows <= _FEW_ROWS:
        yield (
            f"most of the {len(summary.rows_per_sensor)} sensors have at most {_FEW_ROWS} rows, so "
            f"nearly every row is scored without memory: check whether [key] field, which is "
            f"{', '.join(schema.key.fields)}, is the id of a message and not of a sensor"
        )
    if summary.late > _WARNING_SHARE * summary.rows:
        yield _late_warning(summary, order_use)
    if summary.duplicate > _WARNING_SHARE * summary.rows:
        yield (
            f"{summary.duplicate / summary.rows:.0%} of the rows have the same time as the row of "
            "their sensor before, so they are scored without memory: use times with fractions of a "
            "second, or name the sensor in [key]; [order] duplicate decides what happens to such "
            "rows"
        )


def _late_warning(summary: RowSummary, order_use: RowOrderUse) -> str:
    share = f"{summary.late / summary.rows:.0%} of the rows are older than an earlier row of their"
    if order_use is RowOrderUse.SORTS_BY_TIME:
        return (
            f"{share} sensor. `train` and `evaluate` sort the rows by time. `backtest` and the "
            "consumer do not, and score such rows without memory: sort the rows by time, or check "
            "whether [key] names the sensor"
        )
    return (
        f"{share} sensor, so they are scored without memory: sort the rows by time, or check "
        "whether [key] names the sensor"
    )
