"""The rows of a request's items, parsed like the rows of a topic's records."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.absorption import ABSORBED_REASONS, AbsorbedReason
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.rows.long_records import LongRecords
from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.rows.records import parse_without_joining, rejections_of_rows
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.request import TooManyRows
from sensorwatch.common.rows.request_items import RequestItems
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.unpacking import UnpackedRows, unpack_records

CHUNK_ITEMS = 2_000
"""Number of items that are parsed in one step.

During a step of about 1 ms, no other thread can run Python code."""
CHUNK_BYTES = 65_536
"""Size after which a chunk of items with arrays ends, because an item may have many rows."""


class ItemRows(NamedTuple):
    """The rows of some consecutive items of a request.

    An item is named by its position in the request.
    """

    readings: Readings
    """The n valid rows, each as a record of its own."""
    order: NDArray[np.int64]
    """Shape (n,). The item of each valid row, in ascending order. In long form, this is the item
    that closed the row, or the number of all items if the end of the request closed the row."""
    item: NDArray[np.int64]
    """Shape (n,). The item of each valid row; in long form, the last item with one of its
    values."""
    row: NDArray[np.int64] | None
    """Shape (n,). Index of each valid row in the array of its item, or WHOLE_RECORD; for joined
    rows, the number of the row among those with the same item. None if the schema has neither
    arrays nor long form."""
    joined_from: list[tuple[int, ...]]
    """For each row in long form, the items that contain its values; else empty."""
    rejections: list[Rejection]
    """One for each bad row, in ascending order of item and row. `index` is the item, `rows` is the
    place of the row in the item's array."""
    absorbed: list[tuple[int, AbsorbedReason]]
    """The items that the schema ignores or that have no rows, with the reason."""


def parse_items(
    items: RequestItems, schema: Schema, *, received: int, max_rows: int
) -> Iterator[ItemRows]:
    """Yield the rows of a request's items, chunk by chunk, in the order in which they are scored.

    In long form, all values are joined first, and the end of the request closes all rows.
    `received`: the time of the request in microseconds UTC. Raises TooManyRows if the items have
    more than `max_rows` rows, or values in long form; a bad row and an item without rows count too.
    """
    if schema.long_form:
        yield _join_items(items, schema, received, max_rows)
        return
    row_count = 0
    for start, end in _chunk_bounds(items, schema):
        chunk = _parse_chunk(items, schema, start, end, received)
        row_count += len(chunk.item) + len(chunk.rejections) + len(chunk.absorbed)
        _check_row_count(row_count, max_rows)
        yield chunk


def _parse_chunk(
    items: RequestItems, schema: Schema, start: int, end: int, received: int
) -> ItemRows:
    payloads, sources = items
    parsed = parse_without_joining(
        payloads[start:end],
        schema,
        received=[received] * (end - start),
        sources=None if sources is None else sources[start:end],
    )
    readings, absorbed = parsed.readings, parsed.absorbed
    item = readings.index + start if start else readings.index
    return ItemRows(
        _as_records(readings),
        item,
        item,
        readings.row_in_record if schema.rows else None,
        [],
        [
            Rejection(start + rejection.index, rejection.faults, rejection.rows)
            for rejection in parsed.rejections
        ],
        [
            (start + position, ABSORBED_REASONS[number - 1])
            for position, number in zip(
                absorbed.index.tolist(), absorbed.reason.tolist(), strict=True
            )
        ]
        if len(absorbed)
        else [],
    )


def _as_records(readings: Readings) -> Readings:
    """Return readings that are records of their own."""
    rows = len(readings)
    if rows and readings.row_in_record is None and readings.index[-1] == rows - 1:
        return readings  # the index of each reading is already its position
    return replace(readings, index=np.arange(rows), row_in_record=None)


def _join_items(items: RequestItems, schema: Schema, received: int, max_rows: int) -> ItemRows:
    """Return the rows in long form; a row without buckets is complete at the end of its item."""
    unpacked, item_count = UnpackedRows([], [], [], []), len(items.payloads)
    for start, end in _chunk_bounds(items, schema):
        chunk = unpack_records(
            items.payloads[start:end],
            schema,
            received=[received] * (end - start),
            sources=None if items.sources is None else items.sources[start:end],
        )
        unpacked.rows.extend(chunk.rows)
        unpacked.record.extend(start + record for record in chunk.record)
        unpacked.row_in_record.extend(chunk.row_in_record)
        unpacked.absorbed.extend((start + record, reason) for record, reason in chunk.absorbed)
        _check_row_count(len(unpacked.rows) + len(unpacked.absorbed), max_rows)
    long_records = LongRecords(schema, OpenRows(), max_open_rows=MAX_SENSORS)
    long_records.add(unpacked, [received] * item_count)
    long_records.close_open_rows(item_count)
    readings, joined_from = long_records.readings, long_records.joined_from
    item = [records[-1] for records in joined_from]
    return ItemRows(
        _as_records(readings),
        readings.index,
        np.asarray(item, dtype=np.int64),
        _rows_within_items(readings, item),
        joined_from,
        rejections_of_rows(long_records.rejections, unpacked),
        [
            (record, reason)
            for record, reason in long_records.absorbed
            if reason is not AbsorbedReason.JOINED
        ],
    )


def _rows_within_items(readings: Readings, items: list[int]) -> NDArray[np.int64]:
    """Return the number of each joined row among the rows with the same item."""
    assert readings.row_in_record is not None, "rows in long form have a place in their record"
    row_counts = Counter[int]()
    rows = []
    for item, row in zip(items, readings.row_in_record.tolist(), strict=True):
        rows.append(WHOLE_RECORD if row == WHOLE_RECORD else row_counts[item])
        row_counts[item] += 1
    return np.asarray(rows, dtype=np.int64)


def _chunk_bounds(items: RequestItems, schema: Schema) -> Iterator[tuple[int, int]]:
    """Yield the first and the end position of each chunk of items."""
    start, count, size = 0, len(items.payloads), 0
    if not schema.rows:
        for start in range(0, count, CHUNK_ITEMS):
            yield start, min(start + CHUNK_ITEMS, count)
        return
    for position, payload in enumerate(items.payloads):
        size += len(payload or b"")
        if size > CHUNK_BYTES and position > start:
            yield start, position
            start, size = position, len(payload or b"")
    yield start, count


def _check_row_count(row_count: int, max_rows: int) -> None:
    if row_count > max_rows:
        raise TooManyRows(
            f"the items have more than {max_rows} rows, which is the maximum of one request: send "
            "several requests"
        )
