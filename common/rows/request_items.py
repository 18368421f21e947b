"""The items of a request: the payload of each, and its fields from outside the payload."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from sensorwatch.common.rows.row_arrays import shared_value
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import (
    decode_any,
    decode_with_not_finite,
    has_not_finite_literal,
)
from sensorwatch.common.rows.unpacking import Sources
from sensorwatch.common.rows.values import ABSENT

PAYLOAD_FIELD = "@value"
"""The field of an item that contains the payload, if other fields are outside the payload."""

_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = b"null"


class RequestItems(NamedTuple):
    """The n items of a request in order, in the form in which a topic has records."""

    payloads: list[bytes | None]
    """The payload of each item; None for a tombstone that the schema ignores."""
    sources: Sources | None
    """For each item, the fields from outside the payload; None if the payloads contain them."""


def request_items(items: Sequence[bytes], schema: Schema) -> RequestItems:
    """Return the payloads and sources of a request's items. `items`: the JSON of each item.

    If the schema has fields from outside the payload, an item contains them beside the fields of
    the row, or is an object that contains them beside the payload in the field `@value`. Without
    this field, an item is the payload.

    >>> from sensorwatch.common.rows.schema import schema_from_plain
    >>> schema = schema_from_plain(
    ...     {"rows": "[*]", "key": {"field": "@key"}, "signals": [{"name": "flow"}]})
    >>> request_items([b'{"@key": "p1", "@value": [{"flow": 1}]}'], schema)
    RequestItems(payloads=[b'[{"flow": 1}]'], sources=[{'@key': 'p1'}])
    """
    payloads, sources = list[bytes | None](items), None
    if schema.source_names:
        payloads, sources = _without_sources(items, schema)
    if schema.ignores_tombstones:
        payloads = [None if payload == _NULL else payload for payload in payloads]
    return RequestItems(payloads, sources)


def _without_sources(
    items: Sequence[bytes], schema: Schema
) -> tuple[list[bytes | None], Sources | None]:
    """Return payloads and sources; None as sources if each item is a row with these fields."""
    fields_of_items = [_raw_fields(item) for item in items]
    if not schema.rows and not any(PAYLOAD_FIELD in fields for fields in fields_of_items):
        return [*items], None
    payloads: list[bytes | None] = [
        bytes(fields[PAYLOAD_FIELD]) if PAYLOAD_FIELD in fields else item
        for item, fields in zip(items, fields_of_items, strict=True)
    ]
    sources = [
        {
            # An absent source stays absent, so that no element of an array can set it.
            name: _decode(fields[name]) if name in fields else ABSENT
            for name in schema.source_names
        }
        for fields in fields_of_items
    ]
    return payloads, sources


def _raw_fields(item: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """Return the JSON of each field of an item; no fields if the item is not an object."""
    try:
        return _RAW_FIELDS.decode(item)
    except msgspec.ValidationError:
        return {}
    except (msgspec.DecodeError, RecursionError):
        if not has_not_finite_literal(item):
            return {}
    content = decode_with_not_finite(item)
    if not isinstance(content, Mapping):
        return {}
    return {name: json.dumps(value).encode() for name, value in content.items()}


def _decode(raw: bytes | msgspec.Raw) -> object:
    """Return the value of a source; a substitute for an object or array, which no field accepts."""
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        value = decode_any(bytes(raw))  # NaN, a number outside float64, or nested too deep
    return shared_value(value)
