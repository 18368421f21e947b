"""Infer a schema from the newest records of a topic."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import received_at
from sensorwatch.common.kafka.topic_reader import read_topic, watermarks
from sensorwatch.common.kafka.topic_uri import TOPIC_PREFIX, require_topic
from sensorwatch.common.rows.records import parse_rows
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.sources import KEY
from sensorwatch.common.rows.strict_parsing import decode
from sensorwatch.common.rows.values import ABSENT
from sensorwatch.schema_inference.inference import Inference, infer_table
from sensorwatch.schema_inference.inference_report import Sample
from sensorwatch.schema_inference.json_table import read_json_table
from sensorwatch.schema_inference.options import InferenceOptions

MAX_RECORDS = 20_000
MAX_BYTES = 4 << 20


class SampleRecord(NamedTuple):
    """A record of a topic."""

    payload: bytes
    """Empty if the record has no value."""
    received: int | None
    """The record's timestamp in microseconds UTC, or None for a record without timestamp."""
    key: str | None = None
    """The record's key; None if it has none, or if the key is not UTF-8."""


def newest_records(kafka: Mapping[str, Any], topic: str) -> list[SampleRecord]:
    """Return the newest committed records of all partitions, in the order of their timestamps.

    There are at most MAX_RECORDS with MAX_BYTES, and each partition has an equal share of both.
    `kafka`: settings of librdkafka. Reading joins no consumer group and commits no offset. Raises
    DataError if `topic` is empty or has no record, and BrokerUnavailable if it cannot be read.
    """
    require_topic(topic)
    offset_ranges = watermarks(kafka, topic)
    max_rows, max_bytes = (
        max(1, limit // len(offset_ranges)) for limit in (MAX_RECORDS, MAX_BYTES)
    )
    newest_by_partition = {number: _NewestRecords(max_bytes) for number in offset_ranges}
    first_offsets = {number: end - max_rows for number, (_, end) in offset_ranges.items()}
    for message in read_topic(kafka, topic, begin=first_offsets):
        record = SampleRecord(message.value() or b"", received_at(message), _text(message.key()))
        newest_by_partition[message.partition() or 0].add(record)
    records = [record for partition in newest_by_partition.values() for record in partition.records]
    if not records:
        raise DataError(f"{TOPIC_PREFIX}{topic} has no record; wanted at least one row")
    return sorted(records, key=lambda record: record.received or 0)


class _NewestRecords:
    """The newest records of a partition, with a limit for their bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.records: deque[SampleRecord] = deque()
        self._max_bytes = max_bytes
        self._bytes = 0

    def add(self, record: SampleRecord) -> None:
        """Add a record, and drop the oldest records while the total exceeds the limit."""
        self.records.append(record)
        self._bytes += len(record.payload)
        while self._bytes > self._max_bytes and len(self.records) > 1:
            self._bytes -= len(self.records.popleft().payload)


def infer_topic(
    topic: str, records: Sequence[SampleRecord], options: InferenceOptions
) -> Inference:
    """Infer a schema from records of JSON.

    Raises DataError, which names the topic, if that is impossible.
    """
    source = f"{TOPIC_PREFIX}{topic}"
    try:
        payloads = [_payload_with_key(record) for record in records]
        table = read_json_table(payloads, form="JSON on a topic")
        return infer_table(table, options)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def read_record_sample(records: Sequence[SampleRecord], schema: Schema) -> Sample:
    """Read the records with a schema, as the consumer does."""
    payloads, received, keys = zip(*records, strict=True)
    sources = [{KEY: ABSENT if key is None else key} for key in keys]
    return Sample(
        *parse_rows(
            payloads, schema, received=received, sources=sources if schema.source_names else None
        )
    )


def _payload_with_key(record: SampleRecord) -> bytes:
    """Return the payload with the record's key as a field, so that the key can be a sensor's id."""
    fields = decode(record.payload)
    if record.key is None or isinstance(fields, Fault):
        return record.payload
    return msgspec.json.encode({**fields, KEY: record.key})


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
