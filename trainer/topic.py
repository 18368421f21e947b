"""The committed records of a topic from its beginning, in one order whatever the timing."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from common.errors import BrokerUnavailable, DataError
from common.messaging.kafka_config import reader_config

METADATA_SECONDS = 10.0
STALLED_SECONDS = 30.0
_FETCH = 1_000


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record's coordinates and content."""

    partition: int
    offset: int
    payload: bytes | None
    received: int | None
    """The record's timestamp, microseconds UTC; None where it has none."""


def read_topic(
    topic: str,
    *,
    rows: int | None,
    kafka: Mapping[str, Any],
    clock: Callable[[], float] = time.monotonic,
) -> list[TopicRecord]:
    """Read the oldest `rows` committed records (None: all up to now), by partition and offset.

    Which ones are the oldest follows from their timestamps and coordinates, never from which
    partition answered first. Nothing is committed, no group is joined.
    Raises DataError without a topic's name, BrokerUnavailable where the topic is out of reach.
    """
    if not topic:
        raise DataError("kafka: names no topic; wanted for example kafka:sensors")
    consumer = Consumer(reader_config(kafka, group=f"sensorwatch-training-{uuid.uuid4().hex}"))
    try:
        ends = _ends(consumer, topic)
        records = _read(consumer, topic, ends, rows, clock)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"topic {topic} cannot be read: {error.args[0]}; is the broker of "
            f"[kafka] bootstrap.servers = {kafka.get('bootstrap.servers')} up?"
        ) from error
    finally:
        consumer.close()
    oldest = sorted(records, key=lambda record: (record.received or 0, *_coordinates(record)))
    return sorted(oldest[:rows], key=_coordinates)


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """Return the next offset of each partition that is not empty."""
    found = consumer.list_topics(topic, timeout=METADATA_SECONDS).topics[topic]
    if found.error is not None or not found.partitions:
        raise BrokerUnavailable(
            f"no topic {topic} ({found.error}): correct --data kafka:TOPIC, or create it with "
            "`sensorwatch topics create`"
        )
    ends = {}
    for partition in found.partitions:
        low, high = consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=METADATA_SECONDS
        )
        if high > low:
            ends[partition] = high
    return ends


def _read(
    consumer: Consumer,
    topic: str,
    ends: dict[int, int],
    rows: int | None,
    clock: Callable[[], float],
) -> list[TopicRecord]:
    open_ = dict(ends)
    counts = dict.fromkeys(ends, 0)
    records: list[TopicRecord] = []
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
    last = clock()
    while open_:
        messages = consumer.consume(_FETCH, 0.2)
        if messages:
            last = clock()
        elif clock() - last > STALLED_SECONDS:
            raise BrokerUnavailable(f"topic {topic} gave nothing for {STALLED_SECONDS:g} s")
        for message in messages:
            partition, offset = _place(message)
            if partition not in open_:
                continue
            if message.error() is None and offset < open_[partition]:
                records.append(_record(message, partition, offset))
                counts[partition] += 1
            # The end of a partition may be a transaction's marker, which is never delivered.
            ended = message.error() is not None or offset >= open_[partition] - 1
            if ended or counts[partition] == rows:
                del open_[partition]
                consumer.pause([TopicPartition(topic, partition)])
    return records


def _place(message: Message) -> tuple[int, int]:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        raise KafkaException(error)
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def _record(message: Message, partition: int, offset: int) -> TopicRecord:
    kind, milliseconds = message.timestamp()
    received = None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds * 1_000
    return TopicRecord(partition, offset, message.value(), received)


def _coordinates(record: TopicRecord) -> tuple[int, int]:
    return record.partition, record.offset
