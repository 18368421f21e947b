"""Rows in long form that wait for more of their values."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.rows.schema import Schema


class OpenRow(NamedTuple):
    """A row of one sensor, and the values that it has so far."""

    time: int
    """Event time of the row, microseconds UTC: the start of its bucket."""
    sensor_id: str
    values: dict[str, float]
    """By the name of the signal or context column."""


class OpenRows:
    """The rows of one stream whose bucket is not closed yet.

    The rows are part of the memory of a partition. So they are stored in its snapshots, and are
    undone together with it.
    """

    def __init__(self, newest_time: int = NO_TIME, rows: tuple[OpenRow, ...] = ()) -> None:
        self.newest_time = newest_time
        """The newest event time of a value so far, microseconds UTC; NO_TIME before the first."""
        self._rows = {(row.time, row.sensor_id): row.values for row in rows}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> tuple[OpenRow, ...]:
        """The open rows in the order of their first values."""
        return tuple(OpenRow(*key, values) for key, values in self._rows.items())

    def copy(self) -> "OpenRows":
        """Return a copy; later changes of one do not change the other."""
        copy = OpenRows(self.newest_time)
        copy._rows = dict(self._rows)
        return copy

    def is_late(self, event_time: int, schema: Schema) -> bool:
        """Return whether the bucket of an event time is closed."""
        return _close_time(row_time(event_time, schema), schema) <= self.newest_time

    def advance(self, event_time: int, schema: Schema) -> list[OpenRow]:
        """Advance the event time of the stream; close and return the rows whose time is over.

        The rows are in the order of their times, then of their first values.
        """
        if event_time <= self.newest_time:
            return []
        old_time, self.newest_time = self.newest_time, event_time
        if row_time(old_time - schema.grace_us, schema) == row_time(
            event_time - schema.grace_us, schema
        ):
            return []  # no bucket ends between the two times
        return self._close([key for key in self._rows if _close_time(key[0], schema) <= event_time])

    def join(
        self, event_time: int, sensor_id: str, column: str, value: float, schema: Schema
    ) -> None:
        """Join a value to the open row of its sensor and bucket; a later value replaces it."""
        key = (row_time(event_time, schema), sensor_id)
        # The values are copied, because copies of the open rows share them.
        self._rows[key] = {**self._rows.get(key, {}), column: value}

    def close_oldest(self, max_rows: int) -> list[OpenRow]:
        """Close and return the oldest rows, so that at most `max_rows` are open."""
        surplus = len(self._rows) - max_rows
        return self._close(sorted(self._rows)[:surplus]) if surplus > 0 else []

    def close_all(self) -> list[OpenRow]:
        """Close and return all rows, in the order of their first values."""
        rows = [*self.rows]
        self._rows.clear()
        return rows

    def _close(self, keys: list[tuple[int, str]]) -> list[OpenRow]:
        keys.sort(key=lambda key: key[0])
        return [OpenRow(*key, self._rows.pop(key)) for key in keys]


def row_time(event_time: int, schema: Schema) -> int:
    """Return the time of the row to which a value belongs: the start of its bucket, if any."""
    bucket_us = schema.bucket_us
    return event_time - event_time % bucket_us if bucket_us else event_time


def complete_values(values: Mapping[str, float], schema: Schema) -> list[float]:
    """Return the values of all columns of a row; NaN for a column without a value."""
    return [values.get(column.name, math.nan) for column in schema.columns]


def _close_time(time: int, schema: Schema) -> int:
    """Return the event time of the stream at which the row of a time is closed."""
    return time + schema.bucket_us + schema.grace_us
