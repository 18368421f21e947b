"""Values of a record that are not in its payload: its key, timestamp, topic and headers."""

from collections.abc import Mapping, Sequence

from sensorwatch.common.kafka.records import Record, headers_of, last_header_value
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.sources import (
    HEADER_PREFIX,
    KEY,
    TIMESTAMP,
    TOPIC,
    topic_part_number,
)
from sensorwatch.common.rows.values import ABSENT


def sources_of_records(
    records: Sequence[Record], schema: Schema
) -> list[Mapping[str, object]] | None:
    """Return the sources of each record; None if the payloads contain all fields of the schema."""
    if not schema.source_names:
        return None
    return [read_sources(record, schema) for record in records]


def read_sources(record: Record, schema: Schema) -> dict[str, object]:
    """Return the value of each source that the schema names; ABSENT if the record has none.

    Keys and headers are texts; bytes that are not UTF-8 stay bytes, which no field accepts.
    """
    names = schema.source_names
    has_headers = any(name.startswith(HEADER_PREFIX) for name in names)
    headers = (headers_of(record) or []) if has_headers else []
    values: dict[str, object] = {}
    for name in names:
        if name == KEY:
            values[name] = _text(record.key())
        elif name == TIMESTAMP:
            timestamp_type, milliseconds = record.timestamp()
            values[name] = milliseconds if timestamp_type else ABSENT
        elif name == TOPIC:
            values[name] = record.topic()
        elif name.startswith(HEADER_PREFIX):
            values[name] = _text(last_header_value(headers, name.removeprefix(HEADER_PREFIX)))
        else:
            parts, number = (record.topic() or "").split("."), topic_part_number(name) or 0
            values[name] = parts[number] if number < len(parts) else ABSENT
    return values


def _text(content: bytes | None) -> object:
    if content is None:
        return ABSENT
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
