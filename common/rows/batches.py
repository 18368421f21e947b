"""Splitting and joining of batches of parsed rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import chain, islice

import numpy as np

from sensorwatch.common.rows.readings import Readings, merge_readings
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows

Batch = tuple[Readings, list[Rejection]]
"""Readings and rejections of consecutive records; the record index starts at 0 in each batch."""
BATCH_ROWS = 10_000


def collect_batches(
    records: Iterable[Fields | Fault], schema: Schema, *, batch_rows: int = BATCH_ROWS
) -> Iterator[Batch]:
    """Parse records and yield batches of `batch_rows` rows; the last batch may be smaller.

    Only one record at a time is in memory.
    """
    remaining_records = iter(records)
    for first_record in remaining_records:
        batch_records = chain([first_record], islice(remaining_records, batch_rows - 1))
        yield collect_rows(batch_records, schema)


def split_batches(batches: Iterable[Batch], rows: int) -> tuple[list[Batch], Iterator[Batch]]:
    """Return batches with the first `rows` records, and an iterator over the later batches."""
    remaining_batches, first_batches = iter(batches), []
    while rows > 0 and (batch := next(remaining_batches, None)) is not None:
        record_count = _record_count(batch)
        if record_count > rows:
            remaining_batches = chain([_slice_batch(batch, rows, record_count)], remaining_batches)
            batch = _slice_batch(batch, 0, rows)
        first_batches.append(batch)
        rows -= min(rows, record_count)
    return first_batches, remaining_batches


def cut_batches(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """Split batches into smaller ones, each of at most `rows` records."""
    for batch in batches:
        record_count = _record_count(batch)
        for start in range(0, record_count, rows):
            yield _slice_batch(batch, start, min(start + rows, record_count))


def join_batches(batches: Iterable[Batch], schema: Schema) -> Batch:
    """Return consecutive batches as one; the record index continues from batch to batch."""
    shifted_readings, rejections, records_before = [_no_readings(schema)], list[Rejection](), 0
    for batch in batches:
        readings, batch_rejections = batch
        shifted_readings.append(replace(readings, index=readings.index + records_before))
        rejections += [
            Rejection(records_before + rejection.index, rejection.faults)
            for rejection in batch_rejections
        ]
        records_before += _record_count(batch)
    return merge_readings(shifted_readings), rejections


def _record_count(batch: Batch) -> int:
    return len(batch[0]) + len(batch[1])


def _slice_batch(batch: Batch, start: int, stop: int) -> Batch:
    readings, rejections = batch
    first_reading, reading_end = np.searchsorted(readings.index, [start, stop])
    sliced_readings = readings.take(slice(first_reading, reading_end))
    return (
        replace(sliced_readings, index=sliced_readings.index - start),
        [
            Rejection(rejection.index - start, rejection.faults)
            for rejection in rejections
            if start <= rejection.index < stop
        ],
    )


def _no_readings(schema: Schema) -> Readings:
    return collect_rows([], schema)[0]


def first_day(batches: Iterable[Batch]) -> tuple[date | None, Iterator[Batch]]:
    """Return the day (UTC) of the first row, or None without a row, and all batches."""
    iterator = iter(batches)
    read_batches: list[Batch] = []
    for batch in iterator:
        read_batches.append(batch)
        if len(batch[0]):
            seconds = int(batch[0].event_time.min()) // 1_000_000
            return datetime.fromtimestamp(seconds, UTC).date(), chain(read_batches, iterator)
    return None, iter(read_batches)
