"""Parsing of records: a record is one row, has an array of rows, or is absorbed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.absorption import (
    NO_ABSORBED_RECORDS,
    AbsorbedRecords,
    absorbed_records,
)
from sensorwatch.common.rows.array_records import merge_records, read_arrays
from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.ignoring import find_absorbed, positions_without
from sensorwatch.common.rows.keyed_records import payload_schema, with_keys
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.rows.long_form import join_values
from sensorwatch.common.rows.long_records import LongRecords
from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings, merge_readings
from sensorwatch.common.rows.rejection import Rejection, merge_rejections
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Times, collect_rows, times_at
from sensorwatch.common.rows.unpacking import Sources, UnpackedRows, unpack_records


@dataclass(frozen=True, slots=True)
class ParsedRecords:
    """The n records of a micro-batch, parsed; see `Outcome`."""

    readings: Readings
    """`readings.index`: the position of each reading's record; equal for the rows of an array."""
    rejections: list[Rejection]
    """At most one per record, in ascending order of `Rejection.index`."""
    absorbed: AbsorbedRecords


def parse_records(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    sources: Sources | None = None,
    open_rows: OpenRows | None = None,
    max_open_rows: int = MAX_SENSORS,
    row_executor: RowExecutor = run_serially,
) -> ParsedRecords:
    """Parse the payloads of records.

    Each row of a record becomes a reading, or a part of the record's rejection. A record that the
    schema ignores, or that has no rows, is absorbed. `received`, `row_executor`: see `parse`.
    `sources`: None if the payloads contain all fields. `open_rows`: rows in long form that earlier
    records have begun; at most `max_open_rows` stay open.
    """
    if schema.long_form:
        unpacked = unpack_records(payloads, schema, received=received, sources=sources)
        open_rows = OpenRows() if open_rows is None else open_rows
        long_records = LongRecords(schema, open_rows, max_open_rows=max_open_rows)
        long_records.add(unpacked, received)
        parsed = ParsedRecords(
            long_records.readings,
            rejections_of_rows(long_records.rejections, unpacked),
            absorbed_records(long_records.absorbed),
        )
    else:
        parsed = parse_without_joining(
            payloads, schema, received=received, sources=sources, row_executor=row_executor
        )
    if not schema.rows:
        return parsed
    return replace(parsed, rejections=[*_rejections_of_records(parsed.rejections)])


def parse_without_joining(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    sources: Sources | None = None,
    row_executor: RowExecutor = run_serially,
) -> ParsedRecords:
    """Parse the payloads of records that are not in long form; see `parse_records`.

    Each rejected row of an array has a rejection of its own, with its place in `Rejection.rows`.
    """
    without_key = None if sources is None else payload_schema(schema)
    if sources is not None and without_key is not None:
        return _parse_with_keys(payloads, schema, without_key, received, sources, row_executor)
    if schema.rows or sources is not None:
        return _parse_arrays(payloads, schema, received, sources, row_executor)
    absorbed = find_absorbed(payloads, schema)
    if len(absorbed) == 0:
        readings, rejections = parse(payloads, schema, received=received, row_executor=row_executor)
        return ParsedRecords(readings, rejections, NO_ABSORBED_RECORDS)
    unabsorbed = positions_without(absorbed, len(payloads))
    readings, rejections = _parse_unabsorbed(payloads, unabsorbed, schema, received, row_executor)
    positions = unabsorbed.tolist()
    return ParsedRecords(
        replace(readings, index=unabsorbed[readings.index]),
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
    """Parse the payloads of records, and number the rows instead of the records.

    Absorbed records are left out. The arguments are those of `parse_records`.
    """
    if schema.long_form:
        unpacked = unpack_records(payloads, schema, received=received, sources=sources)
        return join_values(zip(unpacked.record, unpacked.rows, strict=True), schema)[1]
    if schema.rows or sources is not None:
        return _collect(
            unpack_records(payloads, schema, received=received, sources=sources), schema, received
        )
    unabsorbed = positions_without(find_absorbed(payloads, schema), len(payloads))
    return _parse_unabsorbed(payloads, unabsorbed, schema, received, run_serially)


def _parse_with_keys(
    payloads: Sequence[bytes | None],
    schema: Schema,
    without_key: Schema,
    received: Times | None,
    sources: Sources,
    row_executor: RowExecutor,
) -> ParsedRecords:
    """Parse records whose key is outside of the payload; `without_key`: see `payload_schema`.

    The result equals that of the strict parser, which reads every record with a fault again.
    """
    parsed = parse_without_joining(
        payloads, without_key, received=received, row_executor=row_executor
    )
    readings, without_valid_key = with_keys(parsed.readings, schema, sources)
    rejected = [rejection.index for rejection in parsed.rejections]
    unread = sorted({*without_valid_key.tolist(), *rejected})
    if not unread:
        return ParsedRecords(readings, [], parsed.absorbed)
    strictly_parsed = _parse_at(unread, payloads, schema, received, sources)
    return ParsedRecords(
        merge_readings([readings, strictly_parsed.readings]),
        strictly_parsed.rejections,
        parsed.absorbed,
    )


def _parse_arrays(
    payloads: Sequence[bytes | None],
    schema: Schema,
    received: Times | None,
    sources: Sources | None,
    row_executor: RowExecutor,
) -> ParsedRecords:
    """Parse records with arrays of rows, or with fields from outside the payload."""
    arrays = read_arrays(
        payloads, schema, received=received, sources=sources, row_executor=row_executor
    )
    if arrays is None:
        return _parse_strictly(payloads, schema, received, sources)
    if not arrays.unread:
        return ParsedRecords(arrays.readings, [], NO_ABSORBED_RECORDS)
    strictly_parsed = _parse_at(arrays.unread, payloads, schema, received, sources)
    return replace(
        strictly_parsed, readings=merge_records([arrays.readings, strictly_parsed.readings])
    )


def _parse_at(
    positions: Sequence[int],
    payloads: Sequence[bytes | None],
    schema: Schema,
    received: Times | None,
    sources: Sources | None,
) -> ParsedRecords:
    """Parse the records at some positions strictly; each keeps its position among all records."""
    position_array = np.asarray(positions, dtype=np.int64)
    parsed = _parse_strictly(
        [payloads[position] for position in positions],
        schema,
        times_at(received, position_array),
        None if sources is None else [sources[position] for position in positions],
    )
    return ParsedRecords(
        replace(parsed.readings, index=position_array[parsed.readings.index]),
        [replace(rejection, index=positions[rejection.index]) for rejection in parsed.rejections],
        replace(parsed.absorbed, index=position_array[parsed.absorbed.index]),
    )


def _parse_strictly(
    payloads: Sequence[bytes | None],
    schema: Schema,
    received: Times | None,
    sources: Sources | None,
) -> ParsedRecords:
    unpacked = unpack_records(payloads, schema, received=received, sources=sources)
    readings, rejections = _collect(unpacked, schema, received)
    return ParsedRecords(
        _as_rows_of_records(readings, unpacked),
        rejections_of_rows(rejections, unpacked),
        absorbed_records(unpacked.absorbed),
    )


def _collect(unpacked: UnpackedRows, schema: Schema, received: Times | None) -> Batch:
    """Validate the rows; the index of a reading or rejection is a position in `unpacked.rows`."""
    row_times = times_at(received, np.asarray(unpacked.record, dtype=np.int64))
    return collect_rows(unpacked.rows, schema, received=row_times)


def _as_rows_of_records(readings: Readings, unpacked: UnpackedRows) -> Readings:
    """Return the readings with the position of their record, and their place in its array."""
    record, row_in_record = np.asarray([unpacked.record, unpacked.row_in_record], dtype=np.int64)
    return replace(
        readings, index=record[readings.index], row_in_record=row_in_record[readings.index]
    )


def rejections_of_rows(rejections: Iterable[Rejection], unpacked: UnpackedRows) -> list[Rejection]:
    """Return rejections with the position of their record, and their place in its array.

    The index of a given rejection is a position in `unpacked.rows`.
    """
    places = (
        (unpacked.record[rejection.index], unpacked.row_in_record[rejection.index], rejection)
        for rejection in rejections
    )
    return [
        Rejection(record, rejection.faults, () if row == WHOLE_RECORD else (row,))
        for record, row, rejection in places
    ]


def _rejections_of_records(rejections: Iterable[Rejection]) -> Iterator[Rejection]:
    """Yield one rejection for each record that has a bad row, with all of the bad rows."""
    for record, row_rejections in groupby(rejections, key=lambda rejection: rejection.index):
        yield merge_rejections(
            record,
            [
                (rejection.rows[0] if rejection.rows else WHOLE_RECORD, rejection.faults)
                for rejection in row_rejections
            ],
        )


def _parse_unabsorbed(
    payloads: Sequence[bytes | None],
    unabsorbed: NDArray[np.int64],
    schema: Schema,
    received: Times | None,
    row_executor: RowExecutor,
) -> Batch:
    """Parse the payloads at the positions `unabsorbed`.

    The indices of the result count only these payloads.
    """
    return parse(
        [payloads[position] for position in unabsorbed.tolist()],
        schema,
        received=times_at(received, unabsorbed),
        row_executor=row_executor,
    )
