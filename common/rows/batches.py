"""Rows in batches: cut where one wants, and joined again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from sensorwatch.common.rows.readings import Readings, merge_readings
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows

Batch = tuple[Readings, list[Rejection]]
"""The rows of consecutive records, each a reading or a rejection, numbered from 0 on."""
BATCH_ROWS = 10_000


def collect_batches(
    records: Iterable[Fields | Fault], schema: Schema, *, batch_rows: int = BATCH_ROWS
) -> Iterator[Batch]:
    """Turn records into batches of so many."""
    remaining = iter(records)
    while batch_records := list(islice(remaining, batch_rows)):
        yield collect_rows(batch_records, schema)


def split_batches(batches: Iterable[Batch], rows: int) -> tuple[list[Batch], Iterator[Batch]]:
    """Take the first `rows` records; return their batches, and those of the others."""
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
    """Cut batches into ones of so many records at the most."""
    for batch in batches:
        size = _record_count(batch)
        for start in range(0, size, rows):
            yield _slice_batch(batch, start, min(start + rows, size))


def join_batches(batches: Iterable[Batch], schema: Schema) -> Batch:
    """Put batches one after the other, their records numbered through."""
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
