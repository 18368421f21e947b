"""The committed records of a topic from its beginning, in an order that is reproducible."""

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
    """The record's timestamp in microseconds UTC, or None if it has none."""


def oldest_records(topic: str, *, rows: int | None, kafka: Mapping[str, Any]) -> list[TopicRecord]:
    """Return the oldest `rows` committed records (None: all up to now), by partition and offset.

    The oldest records are chosen by timestamp and coordinates, so the choice does not depend on
    the order in which partitions answer. The read joins no consumer group and commits no offset.
    Raises DataError if `topic` is empty, BrokerUnavailable if the topic cannot be reached.
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
