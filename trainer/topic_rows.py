"""Read the oldest committed records of a topic in a reproducible order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.kafka.records import coordinates, received_at
from sensorwatch.common.kafka.source_values import read_sources
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.kafka.topic_uri import require_topic
from sensorwatch.common.rows.schema import Schema


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """The partition, offset, payload, timestamp and sources of one record."""

    partition: int
    offset: int
    payload: bytes | None
    received: int | None
    """The record's timestamp in microseconds UTC, or None for a record without timestamp."""
    sources: Mapping[str, object]
    """The values of the schema's fields that are not in the payload."""


def oldest_records(
    topic: str, schema: Schema, *, rows: int | None, kafka: Mapping[str, Any]
) -> list[TopicRecord]:
    """Return the oldest committed records of a topic, sorted by partition and offset.

    `rows`: maximum number of records; None reads all records up to now. Records are chosen by
    timestamp, then partition and offset, so that the choice does not depend on the order in which
    they were read. The function does not join a consumer group and does not commit offsets. Raises
    DataError if `topic` is empty, and BrokerUnavailable if the topic cannot be reached.
    """
    require_topic(topic)
    records = []
    for message in read_topic(kafka, topic, max_records=rows):
        record_coordinates = coordinates(message)
        records.append(
            TopicRecord(
                record_coordinates.partition,
                record_coordinates.offset,
                message.value(),
                received_at(message),
                read_sources(message, schema),
            )
        )
    sorted_records = sorted(
        records, key=lambda record: (record.received or 0, *_coordinates(record))
    )
    return sorted(sorted_records[:rows], key=_coordinates)


def _coordinates(record: TopicRecord) -> tuple[int, int]:
    return record.partition, record.offset
