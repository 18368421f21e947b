"""Parsing of records: a record is one row, has an array of rows, or is absorbed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.absorption import (
    NO_ABSORBED_RECORDS,
    AbsorbedReason,
    AbsorbedRecords,
    absorbed_records,
)
from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.ignoring import find_absorbed, is_ignored, positions_without
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.rows.rejection import Fault, Rejection, merge_rejections
from sensorwatch.common.rows.row_arrays import unpack_rows
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import (
    Fields,
    Times,
    collect_rows,
    decode_any,
    fields_or_fault,
)

MAX_VALUES_PER_RECORD = 1_000_000
"""Maximum number of values of a record, with `{}` as a row too. It bounds the memory of a record
that has many short rows."""

Sources = Sequence[Mapping[str, object]]
"""For each record, the values of its fields that are not in the payload, see `sources.py`."""


@dataclass(frozen=True, slots=True)
class ParsedRecords:
    """The n records of a micro-batch, parsed; see `Outcome`."""

    readings: Readings
    """`readings.index` is the position of each reading's record. It repeats for an array."""
    rejections: list[Rejection]
    """At most one per record, in ascending order of `Rejection.index`."""
    absorbed: AbsorbedRecords


def parse_records(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    sources: Sources | None = None,
    row_executor: RowExecutor = run_serially,
) -> ParsedRecords:
    """Parse the payloads of records; nothing of a record is lost.

    Each row of a record becomes a reading, or a part of the record's rejection. A record that the
    schema ignores, or that has no rows, is absorbed. `received`, `row_executor`: see `parse`.
    `sources`: None if the payloads contain all fields.
    """
    if schema.rows or sources is not None:
        unpacked = _unpack(payloads, schema, sources)
        readings, rejections = _collect(unpacked, schema, received)
        return ParsedRecords(
            _as_rows_of_records(readings, unpacked),
            [*_as_rejections_of_records(rejections, unpacked)],
            absorbed_records(unpacked.absorbed),
        )
    absorbed = find_absorbed(payloads, schema)
    if len(absorbed) == 0:
        readings, rejections = parse(payloads, schema, received=received, row_executor=row_executor)
        return ParsedRecords(readings, rejections, NO_ABSORBED_RECORDS)
    kept = positions_without(absorbed, len(payloads))
    readings, rejections = _parse_kept(payloads, kept, schema, received, row_executor)
    positions = kept.tolist()
    return ParsedRecords(
        replace(readings, index=kept[readings.index]),
        [Rejection(positions[rejection.index], rejection.faults) for rejection in rejections],
        absorbed,
    )


def parse_rows(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    sources: Sources | None = None,
) -> Batch:
    """Parse the payloads of records, and count each row as a record of its own.

    Absorbed records are left out. The arguments are those of `parse_records`.
    """
    if schema.rows or sources is not None:
        return _collect(_unpack(payloads, schema, sources), schema, received)
    kept = positions_without(find_absorbed(payloads, schema), len(payloads))
    return _parse_kept(payloads, kept, schema, received, run_serially)


def rows_of_record(content: object, schema: Schema) -> Iterable[Fields | Fault]:
    """Return the rows of a decoded record, in order.

    `content`: the fields of the record, the elements of a payload that is an array, or the fault of
    the record.
    """
    rows = _rows_in_array(content, schema, {})
    if isinstance(rows, list):
        return rows
    return [fields_or_fault(content if rows is None else rows)]


class _UnpackedRows(NamedTuple):
    """The n rows of a micro-batch's records, and the records without a row."""

    rows: list[Fields | Fault]
    record: list[int]
    """For each row, the position of its record."""
    row_in_record: list[int]
    """For each row, its index in the array of its record, or WHOLE_RECORD."""
    absorbed: list[tuple[int, AbsorbedReason]]
    """The position of each absorbed record, and the reason."""


def _unpack(
    payloads: Sequence[bytes | None], schema: Schema, sources: Sources | None
) -> _UnpackedRows:
    unpacked = _UnpackedRows([], [], [], [])
    for position, payload in enumerate(payloads):
        if payload is None and schema.ignores_tombstones:
            unpacked.absorbed.append((position, AbsorbedReason.TOMBSTONE))
            continue
        content, around = decode_any(payload), {} if sources is None else sources[position]
        if isinstance(content, Mapping):
            content = {**content, **around}
            if is_ignored(content, schema):
                unpacked.absorbed.append((position, AbsorbedReason.FILTERED))
                continue
        rows = _rows_in_array(content, schema, around)
        if rows is None or isinstance(rows, Fault):
            unpacked.rows.append(fields_or_fault(content if rows is None else rows))
            unpacked.record.append(position)
            unpacked.row_in_record.append(WHOLE_RECORD)
        elif rows:
            unpacked.rows.extend(rows)
            unpacked.record.extend([position] * len(rows))
            unpacked.row_in_record.extend(range(len(rows)))
        else:
            unpacked.absorbed.append((position, AbsorbedReason.NO_ROWS))
    return unpacked


def _rows_in_array(
    content: object, schema: Schema, around: Fields
) -> list[Fields | Fault] | Fault | None:
    """Return the rows in the array of a decoded record; see `unpack_rows`."""
    if not schema.rows or isinstance(content, Fault):
        return None
    max_rows = min(schema.max_rows_per_record, MAX_VALUES_PER_RECORD // len(schema.columns))
    return unpack_rows(content, schema.rows, max_rows=max_rows, around=around)


def _collect(unpacked: _UnpackedRows, schema: Schema, received: Times | None) -> Batch:
    """Validate the rows; the index of a reading or rejection is a position in `unpacked.rows`."""
    row_times: Times | None = None
    if isinstance(received, np.ndarray):
        row_times = received[np.asarray(unpacked.record, dtype=np.int64)]
    elif received is not None:
        row_times = [received[record] for record in unpacked.record]
    return collect_rows(unpacked.rows, schema, received=row_times)


def _as_rows_of_records(readings: Readings, unpacked: _UnpackedRows) -> Readings:
    """Return the readings with the position of their record, and their place in its array."""
    record, row_in_record = np.asarray([unpacked.record, unpacked.row_in_record], dtype=np.int64)
    return replace(
        readings, index=record[readings.index], row_in_record=row_in_record[readings.index]
    )


def _as_rejections_of_records(
    rejections: Iterable[Rejection], unpacked: _UnpackedRows
) -> Iterator[Rejection]:
    """Yield one rejection for each record that has a bad row, with all of the bad rows."""
    rows_of_records = groupby(rejections, key=lambda rejection: unpacked.record[rejection.index])
    for record, row_rejections in rows_of_records:
        yield merge_rejections(
            record,
            [
                (unpacked.row_in_record[rejection.index], rejection.faults)
                for rejection in row_rejections
            ],
        )


def _parse_kept(
    payloads: Sequence[bytes | None],
    kept: NDArray[np.int64],
    schema: Schema,
    received: Times | None,
    row_executor: RowExecutor,
) -> Batch:
    """Parse the payloads at the positions `kept`; the indices of the result count only these."""
    positions = kept.tolist()
    if isinstance(received, np.ndarray):
        received = received[kept]
    elif received is not None:
        received = [received[position] for position in positions]
    return parse(
        [payloads[position] for position in positions],
        schema,
        received=received,
        row_executor=row_executor,
    )
