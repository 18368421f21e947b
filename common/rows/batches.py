"""Batches of parsed rows: splitting and joining them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from sensorwatch.common.rows.readings import Readings, merge_readings
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows

Batch = tuple[Readings, list[Rejection]]
"""Readings and rejections of consecutive records, numbered from 0."""
BATCH_ROWS = 10_000


def collect_batches(
    records: Iterable[Fields | Fault], schema: Schema, *, batch_rows: int = BATCH_ROWS
) -> Iterator[Batch]:
    """Yield records as batches of `batch_rows` rows; the last batch may be smaller."""
    remaining = iter(records)
    while batch_records := list(islice(remaining, batch_rows)):
        yield collect_rows(batch_records, schema)


def split_batches(batches: Iterable[Batch], rows: int) -> tuple[list[Batch], Iterator[Batch]]:
    """Return the batches of the first `rows` records, and an iterator over the others."""
    remaining, taken = iter(batches), []
    while rows > 0 and (batch := next(remaining, None)) is not None:
        size = _record_count(batch)
        if size > rows:
            remaining = chain([_slice_batch(batch, rows, size)], remaining)
            batch = _slice_batch(batch, 0, rows)
        taken.append(batch)
        rows -= min(rows, size)
    return taken, remaining


def cut_batches(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """Yield batches of at most `rows` records."""
    for batch in batches:
        size = _record_count(batch)
        for start in range(0, size, rows):
            yield _slice_batch(batch, start, min(start + rows, size))


def join_batches(batches: Iterable[Batch], schema: Schema) -> Batch:
    """Return consecutive batches as one batch, with continuous numbers."""
    parts, rejections, records_before = [_no_readings(schema)], list[Rejection](), 0
    for batch in batches:
        readings, rejected = batch
        parts.append(replace(readings, index=readings.index + records_before))
        rejections += [
            Rejection(records_before + rejection.index, rejection.faults) for rejection in rejected
        ]
        records_before += _record_count(batch)
    return merge_readings(parts), rejections


def _record_count(batch: Batch) -> int:
    return len(batch[0]) + len(batch[1])


def _slice_batch(batch: Batch, start: int, stop: int) -> Batch:
    readings, rejections = batch
    low, high = np.searchsorted(readings.index, [start, stop])
    selected = readings.take(slice(low, high))
    return (
        replace(selected, index=selected.index - start),
        [
            Rejection(rejection.index - start, rejection.faults)
            for rejection in rejections
            if start <= rejection.index < stop
        ],
    )


def _no_readings(schema: Schema) -> Readings:
    return collect_rows([], schema)[0]
