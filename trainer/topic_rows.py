"""The committed records of a topic from its beginning, in one order whatever the timing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import coordinates, received_at
from sensorwatch.common.kafka.topic_reader import read_topic


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record's coordinates and content."""

    partition: int
    offset: int
    payload: bytes | None
    received: int | None
    """The record's timestamp, microseconds UTC; None where it has none."""


def oldest_records(topic: str, *, rows: int | None, kafka: Mapping[str, Any]) -> list[TopicRecord]:
    """Read the oldest `rows` committed records (None: all up to now), by partition and offset.

    Which ones are the oldest follows from their timestamps and coordinates, never from which
    partition answered first. Nothing is committed, no group is joined.
    Raises DataError without a topic's name, BrokerUnavailable where the topic is out of reach.
    """
    if not topic:
        raise DataError("kafka: names no topic; wanted for example kafka:sensors")
    records = []
    for message in read_topic(kafka, topic, max_records=rows):
        where = coordinates(message)
        payload, received = message.value(), received_at(message)
        records.append(TopicRecord(where.partition, where.offset, payload, received))
    oldest = sorted(records, key=lambda record: (record.received or 0, *_coordinates(record)))
    return sorted(oldest[:rows], key=_coordinates)


def _coordinates(record: TopicRecord) -> tuple[int, int]:
    return record.partition, record.offset
