"""Rows in batches: cut where one wants, and joined again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from sensorwatch.common.rows.readings import Readings, merged
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect

Batch = tuple[Readings, list[Rejection]]
"""The rows of consecutive records, each a reading or a rejection, numbered from 0 on."""
BATCH_ROWS = 10_000


def collected(
    records: Iterable[Fields | Fault], schema: Schema, *, at_once: int = BATCH_ROWS
) -> Iterator[Batch]:
    """Turn records into batches of so many."""
    rest = iter(records)
    while some := list(islice(rest, at_once)):
        yield collect(some, schema)


def split(batches: Iterable[Batch], rows: int) -> tuple[list[Batch], Iterator[Batch]]:
    """Take the first `rows` records; return their batches, and those of the others."""
    rest, taken = iter(batches), []
    while rows > 0 and (batch := next(rest, None)) is not None:
        size = _records(batch)
        if size > rows:
            rest = chain([_part(batch, rows, size)], rest)
            batch = _part(batch, 0, rows)
        taken.append(batch)
        rows -= min(rows, size)
    return taken, rest


def cut(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """Cut batches into ones of so many records at the most."""
    for batch in batches:
        size = _records(batch)
        for start in range(0, size, rows):
            yield _part(batch, start, min(start + rows, size))


def joined(batches: Iterable[Batch], schema: Schema) -> Batch:
    """Put batches one after the other, their records numbered through."""
    parts, rejections, before = [_none(schema)], list[Rejection](), 0
    for batch in batches:
        readings, rejected = batch
        parts.append(replace(readings, index=readings.index + before))
        rejections += [Rejection(before + one.index, one.faults) for one in rejected]
        before += _records(batch)
    return merged(parts), rejections


def _records(batch: Batch) -> int:
    return len(batch[0]) + len(batch[1])


def _part(batch: Batch, start: int, stop: int) -> Batch:
    readings, rejections = batch
    low, high = np.searchsorted(readings.index, [start, stop])
    kept = readings.take(slice(low, high))
    return (
        replace(kept, index=kept.index - start),
        [
            Rejection(one.index - start, one.faults)
            for one in rejections
            if start <= one.index < stop
        ],
    )


def _none(schema: Schema) -> Readings:
    return collect([], schema)[0]
