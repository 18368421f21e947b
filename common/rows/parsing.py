"""Parsing of a micro-batch: a kernel reads simple payloads, the strict parser reads the others."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.fast.column_rules import column_rules, mark_missing_numbers
from sensorwatch.common.rows.fast.json_rows import (
    NO_KEY,
    OPTIONAL_KEY,
    REQUIRED_KEY,
    JsonSchema,
    Payloads,
    RowColumns,
    read_json_rows,
)
from sensorwatch.common.rows.fast.sensor_ids import number_sensors
from sensorwatch.common.rows.fast.time_form import time_form
from sensorwatch.common.rows.paths import keys_of
from sensorwatch.common.rows.readings import Readings, merge_readings
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Times, parse_strictly, times_as_array

MIN_PAYLOADS_FOR_KERNEL = 4
"""For fewer payloads, the strict parser is faster than the kernel."""
_MAX_FUTURE_US = 2**61


def parse(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    row_executor: RowExecutor = run_serially,
) -> tuple[Readings, list[Rejection]]:
    """Parse JSON payloads; each payload becomes one reading or one rejection.

    The result is bit-identical to that of `parse_strictly`. `received`: the receive times,
    for the check of `max_future_seconds`; a payload without a receive time is not checked.
    `row_executor`: runs the kernel on row ranges of the payloads.
    """
    kernel_schema = _kernel_schema(schema) if len(payloads) >= MIN_PAYLOADS_FOR_KERNEL else None
    if kernel_schema is None:
        return parse_strictly(payloads, schema, received=received)
    times = times_as_array(received, len(payloads))
    is_read, readings = _read_by_kernel(payloads, kernel_schema, schema, times, row_executor)
    unread_positions = np.flatnonzero(~is_read)
    if len(unread_positions) == 0:
        return readings, []
    unread_indices = unread_positions.tolist()
    strict_readings, rejections = parse_strictly(
        [payloads[index] for index in unread_indices], schema, received=times[unread_positions]
    )
    rejections = [
        Rejection(unread_indices[rejection.index], rejection.faults) for rejection in rejections
    ]
    if len(strict_readings):
        readings = merge_readings(
            [readings, replace(strict_readings, index=unread_positions[strict_readings.index])]
        )
    return readings, rejections


def _read_by_kernel(
    payloads: Sequence[bytes | None],
    kernel_schema: JsonSchema,
    schema: Schema,
    received: NDArray[np.int64],
    row_executor: RowExecutor,
) -> tuple[NDArray[np.bool_], Readings]:
    """Return a mask (n,) of the payloads that the kernel could read, and their readings."""
    n, columns, signals = len(payloads), len(schema.columns), len(schema.signals)
    payload_bytes = cast("Sequence[bytes]", payloads)
    try:
        joined_payloads = b"".join(payload_bytes)
    except TypeError:  # a payload is None; a check of all payloads in advance would take time
        payload_bytes = [payload or b"" for payload in payloads]
        joined_payloads = b"".join(payload_bytes)
    data = np.frombuffer(joined_payloads, dtype=np.uint8)
    ends = np.cumsum(np.fromiter(map(len, payload_bytes), dtype=np.int64, count=n))
    is_read = np.empty(n, dtype=np.bool_)
    event_time, id_start, id_length = np.empty((3, n), dtype=np.int64)
    values = np.empty((n, columns))
    kernel_payloads = Payloads(data, ends, received)
    row_columns = RowColumns(is_read, event_time, values, id_start, id_length)
    row_executor(
        lambda begin, end: read_json_rows(begin, end, kernel_payloads, kernel_schema, row_columns),
        n,
    )
    is_read &= ~mark_missing_numbers(schema, values)
    index = np.flatnonzero(is_read)
    if len(index) < n:
        event_time, id_start, id_length = event_time[index], id_start[index], id_length[index]
        values = values[index]
    sensor, sensor_ids = number_sensors(joined_payloads, id_start, id_length)
    return is_read, Readings(
        index,
        event_time,
        sensor,
        sensor_ids,
        np.ascontiguousarray(values[:, :signals]),
        np.ascontiguousarray(values[:, signals:]),
    )


@lru_cache(maxsize=64)
def _kernel_schema(schema: Schema) -> JsonSchema | None:
    """Return the schema for the kernel; None if the kernel cannot read rows of this schema."""
    time_field, names = schema.time, schema.column_names
    form = time_form(time_field)
    is_nested = any(len(keys_of(path)) > 1 for path in schema.paths)
    has_several_fields = len(time_field.fields) > 1 or (
        schema.key is not None and len(schema.key.fields) > 1
    )
    is_printable_ascii = all(name.isascii() and name.isprintable() for name in names)
    has_special_characters = any('"' in name or "\\" in name for name in names)
    if (
        form is None
        or is_nested
        or has_several_fields
        or has_special_characters
        or schema.quality_paths
        or not is_printable_ascii
    ):
        return None
    max_future_us = int(min(time_field.max_future_seconds * 1_000_000, _MAX_FUTURE_US))
    key_rule = (
        NO_KEY if schema.key is None else OPTIONAL_KEY if schema.key.optional else REQUIRED_KEY
    )
    encoded_names = [name.encode() for name in names]
    return JsonSchema(
        np.frombuffer(b"".join(encoded_names), dtype=np.uint8),
        np.cumsum([len(name) for name in encoded_names]),
        column_rules(schema),
        form,
        (
            max_future_us,
            key_rule,
            schema.unknown_fields is UnknownFields.IGNORE,
        ),
    )
