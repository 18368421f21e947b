"""Read the newest records of a topic."""

import heapq
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message

from sensorwatch.common.kafka.topic_reader import read_topic, watermarks


def recent_records(kafka: Mapping[str, Any], topic: str, *, rows: int) -> list[Message]:
    """Return the `rows` newest committed records by timestamp, sorted by partition and offset.

    The function reads the last `rows` offsets of each partition; offsets of transaction markers
    have no record. It commits no offset and joins no group. Raises BrokerUnavailable if the topic
    cannot be read.
    """
    offset_ranges = watermarks(kafka, topic)
    first_offsets = {number: end_offset - rows for number, (_, end_offset) in offset_ranges.items()}
    newest_records = heapq.nlargest(
        rows, read_topic(kafka, topic, begin=first_offsets), key=_sort_key
    )
    return sorted(newest_records, key=lambda record: (record.partition(), record.offset()))


def _sort_key(record: Message) -> tuple[int, int, int]:
    """Return the sort key: timestamp (-1 if the record has none), then offset, then partition."""
    return record.timestamp()[1], record.offset() or 0, record.partition() or 0
