"""The latest records of a topic, for a look at what is in it."""

import heapq
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message

from sensorwatch.common.kafka.topic_reader import read_topic, watermarks


def recent_records(kafka: Mapping[str, Any], topic: str, *, rows: int) -> list[Message]:
    """Return the newest `rows` committed records of all partitions by timestamp, by coordinates.

    Up to `rows` are read of each partition (fewer where markers of transactions stand among them).
    Nothing is committed and no group is joined. Raises BrokerUnavailable where the topic cannot
    be read.
    """
    bounds = watermarks(kafka, topic)
    begin = {number: high - rows for number, (_, high) in bounds.items()}
    recent = heapq.nlargest(rows, read_topic(kafka, topic, begin=begin), key=_recency)
    return sorted(recent, key=lambda record: (record.partition(), record.offset()))


def _recency(record: Message) -> tuple[int, int, int]:
    """Order by timestamp, which some records lack (-1); the offset decides between equal ones."""
    return record.timestamp()[1], record.offset() or 0, record.partition() or 0
