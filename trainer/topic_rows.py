"""Read the oldest committed records of a topic in a reproducible order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import coordinates, received_at
from sensorwatch.common.kafka.topic_reader import read_topic


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """The coordinates and the content of one record."""

    partition: int
    offset: int
    payload: bytes | None
    received: int | None
    """The record's timestamp in microseconds UTC, or None for a record without timestamp."""


def oldest_records(topic: str, *, rows: int | None, kafka: Mapping[str, Any]) -> list[TopicRecord]:
    """Return the oldest committed records of a topic, sorted by partition and offset.

    `rows`: maximum number of records; None means all records up to now. The oldest records are
    chosen by timestamp and coordinates. The choice does not depend on the order of arrival. The
    read joins no consumer group and commits no offset. Raises DataError if `topic` is empty,
    BrokerUnavailable if the topic cannot be reached.
    """
    if not topic:
        raise DataError("kafka: names no topic; wanted kafka:TOPIC, for example kafka:sensors")
    records = []
    for message in read_topic(kafka, topic, max_records=rows):
        position = coordinates(message)
        payload, received = message.value(), received_at(message)
        records.append(TopicRecord(position.partition, position.offset, payload, received))
    oldest = sorted(records, key=lambda record: (record.received or 0, *_coordinates(record)))
    return sorted(oldest[:rows], key=_coordinates)


def _coordinates(record: TopicRecord) -> tuple[int, int]:
    return record.partition, record.offset
