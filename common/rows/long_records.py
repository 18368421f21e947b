"""Records in long form: their values are joined to rows."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import numpy as np

from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.fields import Row
from sensorwatch.common.rows.long_form import LongValue, long_form_reader
from sensorwatch.common.rows.open_rows import OpenRow, OpenRows, complete_values, row_time
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection, make_fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Times, readings_of_rows, times_as_list
from sensorwatch.common.rows.unpacking import UnpackedRows

_LATE_FAULT_DETAIL = "the row of this time is closed; see grace_seconds in docs/payloads.md"


class LongRecords:
    """The rows, rejections and absorbed records that come from records in long form.

    Without buckets, a row is complete at the end of its record. With buckets, a row stays open
    until the event time of the stream has passed the row's bucket and the grace time. The row
    belongs to the record that closed it.
    """

    def __init__(self, schema: Schema, open_rows: OpenRows, *, max_open_rows: int) -> None:
        self._schema = schema
        self._open_rows = open_rows
        self._max_open_rows = max_open_rows
        self._read = long_form_reader(schema)
        self._rows: list[Row] = []
        self._record: list[int] = []
        """For each row, the position of its record."""
        self._row_in_record: list[int] = []
        self._records_of_open_row: dict[tuple[int, str], list[int]] = {}
        """For the time and sensor of each open row, the records of its values, in order."""
        self.joined_from: list[tuple[int, ...]] = []
        """For each row, the positions of the records that contain its values, in order. Records of
        earlier micro-batches are left out."""
        self.rejections: list[Rejection] = []
        """The index of a rejection is a position in `UnpackedRows.rows`."""
        self.absorbed: list[tuple[int, AbsorbedReason]] = []

    @property
    def readings(self) -> Readings:
        """The rows; their index is the position of their record."""
        readings = readings_of_rows(self._record, self._rows, self._schema)
        return replace(readings, row_in_record=np.asarray(self._row_in_record, dtype=np.int64))

    def add(self, unpacked: UnpackedRows, received: Times | None) -> None:
        """Read all values of a micro-batch's records."""
        times = times_as_list(received)
        values = range(len(unpacked.rows))
        for record, positions in groupby(values, key=unpacked.record.__getitem__):
            self._add_record(unpacked, record, positions, None if times is None else times[record])
        self.absorbed = sorted([*self.absorbed, *unpacked.absorbed])

    def close_open_rows(self, record: int) -> None:
        """Close all open rows in the order of their times; they belong to `record`."""
        open_rows = self._open_rows.close_all()
        self._close(record, sorted(open_rows, key=lambda row: row.time))

    def _add_record(
        self,
        unpacked: UnpackedRows,
        record: int,
        positions: Iterable[int],
        received: int | None,
    ) -> None:
        has_buckets = self._schema.bucket_us > 0
        open_rows = self._open_rows if has_buckets else OpenRows()
        rows_before, rejections_before, is_joined = len(self._rows), len(self.rejections), False
        for position in positions:
            fields = unpacked.rows[position]
            result = (fields,) if isinstance(fields, Fault) else self._read(fields, received)
            if isinstance(result, LongValue):
                if has_buckets and open_rows.is_late(result.event_time, self._schema):
                    result = (make_fault(Reason.LATE, result.column, _LATE_FAULT_DETAIL),)
                else:
                    is_joined = True
                    self._join(open_rows, result, record, closes_rows=has_buckets)
            if isinstance(result, Row):
                is_whole = unpacked.row_in_record[position] == WHOLE_RECORD
                self._add_row(record, result, (record,), is_whole_record=is_whole)
            elif result is not None and not isinstance(result, LongValue):
                self.rejections.append(Rejection(position, result))
        if not has_buckets:
            self._close(record, open_rows.close_all())
        if len(self._rows) == rows_before and len(self.rejections) == rejections_before:
            reason = AbsorbedReason.JOINED if is_joined else AbsorbedReason.FILTERED
            self.absorbed.append((record, reason))

    def _join(
        self, open_rows: OpenRows, value: LongValue, record: int, *, closes_rows: bool
    ) -> None:
        if closes_rows:
            self._close(record, open_rows.advance(value.event_time, self._schema))
        open_rows.join(value.event_time, value.sensor_id, value.column, value.value, self._schema)
        key = (row_time(value.event_time, self._schema), value.sensor_id)
        records = self._records_of_open_row.setdefault(key, [])
        if record not in records[-1:]:
            records.append(record)
        if closes_rows:
            self._close(record, open_rows.close_oldest(self._max_open_rows))

    def _close(self, record: int, rows: Iterable[OpenRow]) -> None:
        for row in rows:
            key = (row.time, row.sensor_id)
            values = complete_values(row.values, self._schema)
            joined_from = tuple(self._records_of_open_row.pop(key, ()))
            self._add_row(record, Row(*key, values), joined_from, is_whole_record=False)

    def _add_row(
        self, record: int, row: Row, joined_from: tuple[int, ...], *, is_whole_record: bool
    ) -> None:
        is_first = not self._record or self._record[-1] != record
        next_row = 0 if is_first else self._row_in_record[-1] + 1
        self._rows.append(row)
        self.joined_from.append(joined_from)
        self._record.append(record)
        self._row_in_record.append(WHOLE_RECORD if is_whole_record else next_row)
