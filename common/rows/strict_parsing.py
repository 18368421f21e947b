"""The strict parser defines what a valid JSON row is; it raises no exception for any input."""

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.fields import FieldReader, Row, field_reader
from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES, NO_TIME
from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection, make_fault, short_repr
from sensorwatch.common.rows.schema import Schema

MAX_NESTING = 64

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # zlib's number for data with a header of gzip
_FRAME_BYTES = 5
_MAX_INT_CHARACTERS = 20  # longer integers are outside int64, and int() refuses very long texts

Fields = Mapping[str, object]
Times = Sequence[int | None] | NDArray[np.int64]
"""Times in microseconds UTC; None, or NO_TIME in an array, marks a missing time."""

# Matches a string. A string without a closing quote matches up to the end of the payload, so that
# the search does not start again at each later quote. Possessive quantifiers keep the time linear.
_JSON_STRING = re.compile(rb'"(?:[^"\\]*+(?:\\.[^"\\]*+)*+"|(.*))', re.DOTALL)
_LEVEL_CHANGES = np.zeros(256, dtype=np.int8)
"""For each byte value outside strings, the change of the nesting level: -1, 0 or 1."""
_LEVEL_CHANGES[[*b"[{"]], _LEVEL_CHANGES[[*b"]}"]] = 1, -1


def parse_strictly(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
) -> tuple[Readings, list[Rejection]]:
    """Parse JSON payloads; each payload becomes one reading or one rejection.

    `common.rows.parsing.parse` gives the same result faster. `received`: the receive times,
    for the check of `max_future_seconds`; a payload without a receive time is not checked.
    """
    return collect_rows((decode(payload) for payload in payloads), schema, received=received)


def collect_rows(
    records: Iterable[Fields | Fault],
    schema: Schema,
    *,
    received: Times | None = None,
) -> tuple[Readings, list[Rejection]]:
    """Validate decoded records; each record becomes one reading or one rejection.

    `records`: the fields of each record, or the fault that decoding found. `received`: see
    `parse_strictly`.
    """
    validate_record, times = _cached_field_reader(schema), times_as_list(received)
    valid_positions: list[int] = []
    rows: list[Row] = []
    rejections: list[Rejection] = []
    for position, record in enumerate(records):
        if isinstance(record, Fault):
            rejections.append(Rejection(position, (record,)))
            continue
        row = validate_record(record, None if times is None else times[position])
        if isinstance(row, Row):
            valid_positions.append(position)
            rows.append(row)
        else:
            rejections.append(Rejection(position, row))
    return readings_of_rows(valid_positions, rows, schema), rejections


def readings_of_rows(index: Sequence[int], rows: Sequence[Row], schema: Schema) -> Readings:
    """Return valid rows as readings; `index`: the position of each row's record."""
    return build_readings(
        index=index,
        event_time=[row.event_time for row in rows],
        sensor_ids=[row.sensor_id for row in rows],
        values=[row.values for row in rows],
        signals=len(schema.signals),
        contexts=len(schema.context),
    )


def decode(payload: bytes | None) -> Fields | Fault:
    """Return the fields of a payload's JSON object, or the fault of the payload.

    These wrappers are removed: a byte order mark, Schema Registry's frame around JSON, gzip, and a
    JSON string that contains the JSON object.
    """
    return fields_or_fault(decode_any(payload))


def fields_or_fault(content: object) -> Fields | Fault:
    """Return the decoded content of a record if it is an object or a fault, else a fault."""
    if isinstance(content, Mapping | Fault):
        return content
    return make_fault(Reason.NOT_OBJECT, "", f"found {short_repr(content)}, wanted an object")


def decode_any(payload: bytes | None) -> object:
    """Return the value of a payload's JSON, of any type, or the fault of the payload."""
    if not payload:
        return make_fault(Reason.EMPTY, "", "the record has no value")
    if payload.startswith(_GZIP_MAGIC):
        decompressed_payload = _decompress(payload)
        if isinstance(decompressed_payload, Fault):
            return decompressed_payload
        payload = decompressed_payload
    if len(payload) > MAX_PAYLOAD_BYTES:
        return _too_large_fault(f"{len(payload)} bytes")
    payload = payload.removeprefix(_BYTE_ORDER_MARK)
    if payload[:1] == b"\0" and payload[_FRAME_BYTES : _FRAME_BYTES + 1] in (b"{", b"["):
        payload = payload[_FRAME_BYTES:]
    elif payload[:1] == b"\0" and len(payload) >= _FRAME_BYTES:
        schema_id = int.from_bytes(payload[1:5], "big")
        detail = f"starts with Schema Registry's magic byte (schema id {schema_id}), wanted JSON"
        return make_fault(Reason.FRAMED, "", detail)
    try:
        value = _decode_json(payload)
        if isinstance(value, str) and value.startswith(("{", "[")):
            value = _decode_json(value.encode())
    except ValueError as error:
        return make_fault(Reason.NOT_JSON, "", f"{error}; found {short_repr(payload)}")
    return value


def _decompress(payload: bytes) -> bytes | Fault:
    """Return the decompressed bytes; stop at one byte above the limit."""
    decompressor = zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        decompressed_payload = decompressor.decompress(payload, MAX_PAYLOAD_BYTES + 1)
    except zlib.error as error:
        return make_fault(Reason.NOT_JSON, "", f"not valid gzip: {error}")
    if len(decompressed_payload) > MAX_PAYLOAD_BYTES:
        return _too_large_fault("more bytes after decompression")
    if not decompressor.eof:
        return make_fault(Reason.NOT_JSON, "", "the gzip data end too early")
    return decompressed_payload


def _too_large_fault(found_text: str) -> Fault:
    return make_fault(Reason.TOO_LARGE, "", f"{found_text}, at most {MAX_PAYLOAD_BYTES}")


def _decode_json(payload: bytes) -> object:
    if _nested_too_deep(payload):
        raise ValueError(f"nested deeper than {MAX_NESTING} levels")
    try:
        return msgspec.json.decode(payload)
    except msgspec.ValidationError:
        # The JSON is well-formed, but a number exceeds float64. The json module reads it as
        # infinity, so that the fault is `not_finite` of the field and not `not_json` of the record.
        return json.loads(payload, parse_int=float)
    except ValueError:
        if not has_not_finite_literal(payload):
            raise
        return decode_with_not_finite(payload)


def has_not_finite_literal(text: bytes) -> bool:
    """Return whether a text may contain NaN or Infinity, which Python's json module writes.

    These numbers are not valid JSON.
    """
    return b"NaN" in text or b"Infinity" in text


def decode_with_not_finite(text: bytes) -> object:
    """Decode JSON that may contain NaN or Infinity. Raises ValueError or RecursionError."""
    return json.loads(text.decode(), parse_int=_int_or_float)


def _int_or_float(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INT_CHARACTERS else float(digits)


def _nested_too_deep(payload: bytes) -> bool:
    """Return whether the payload has more than MAX_NESTING levels of arrays and objects.

    The decoder's own limit is not enough, because it depends on the stack depth of the caller.
    """
    if payload.count(b"[") + payload.count(b"{") <= MAX_NESTING:
        return False
    bytes_outside_strings = b"".join(filter(None, _JSON_STRING.split(payload)))
    levels = _LEVEL_CHANGES[np.frombuffer(bytes_outside_strings, dtype=np.uint8)]
    return int(levels.cumsum(dtype=np.int64).max(initial=0)) > MAX_NESTING


def times_at(times: Times | None, positions: NDArray[np.int64]) -> Times | None:
    """Return the times at some positions."""
    if times is None or isinstance(times, np.ndarray):
        return None if times is None else times[positions]
    return [times[position] for position in positions.tolist()]


def times_as_array(times: Times | None, n: int) -> NDArray[np.int64]:
    """Return n times as an array (n,) with NO_TIME for a missing time."""
    if times is None:
        return np.full(n, NO_TIME, dtype=np.int64)
    if isinstance(times, np.ndarray):
        return times
    return np.asarray([NO_TIME if time is None else time for time in times], dtype=np.int64)


def times_as_list(received: Times | None) -> Sequence[int | None] | None:
    """Return times as a sequence with None for a missing time."""
    if not isinstance(received, np.ndarray):
        return received
    return [None if time == NO_TIME else time for time in received.tolist()]


@lru_cache(maxsize=64)
def _cached_field_reader(schema: Schema) -> FieldReader:
    return field_reader(schema)
