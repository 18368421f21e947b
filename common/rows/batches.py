"""Rows in batches: cut where one wants, and joined again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from common.rows.readings import Readings
from common.rows.rejection import Fault, Rejection
from common.rows.schema import Schema
from common.rows.strict_parsing import Fields, collect

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
    numbers: dict[str, int] = {}
    parts, rejections, before = [_none(schema)], list[Rejection](), 0
    for batch in batches:
        readings, rejected = batch
        there, first = np.unique(readings.sensor, return_index=True)
        line = np.zeros(len(readings.sensor_ids), dtype=np.int32)
        for number in there[np.argsort(first)].tolist():
            line[number] = numbers.setdefault(readings.sensor_ids[number], len(numbers))
        moved = replace(readings, index=readings.index + before, sensor=line[readings.sensor])
        parts.append(moved)
        rejections += [Rejection(before + one.index, one.faults) for one in rejected]
        before += _records(batch)
    whole = Readings(
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.event_time for part in parts]),
        np.concatenate([part.sensor for part in parts]),
        tuple(numbers),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.context for part in parts]),
    )
    return whole, rejections


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
