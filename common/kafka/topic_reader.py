"""Everything that is committed in a topic as of now, read without joining a group."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.silent_logger import quiet_logger

CALL_TIMEOUT_SECONDS = 10.0
STALL_TIMEOUT_SECONDS = 60.0
"""Longer than a dead writer's transaction holds back what others committed after it."""
FETCH_RECORDS = 1_000

_NO_GROUP = "sensorwatch-reader"
"""The client wants a group id even for a consumer that never joins one."""


def read_topic(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    begin: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    max_records: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Message]:
    """Yield the committed records of a topic, in order within each partition.

    `begin`, `end`: offsets by partition (end exclusive); without them from the first record to the
    last one there is at the call. Where `begin` is given, partitions not in it are left out.
    `max_records`: so many records of each partition at the most. A transaction that is still open below
    the end is waited for. Raises BrokerUnavailable where the topic is missing or nothing comes.
    """
    for batch in read_topic_batches(
        kafka, topic, begin=begin, end=end, max_records=max_records, clock=clock
    ):
        yield from batch


def read_topic_batches(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    begin: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    max_records: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Message]]:
    """Yield what `read_topic` does as it comes; an empty piece says that we wait.

    For a caller with something else to do meanwhile.
    """
    bounds = _bounds(watermarks(kafka, topic), begin, end)
    end_offsets = {
        number: end_offset for number, (start, end_offset) in bounds.items() if start < end_offset
    }
    counts: Counter[int] = Counter()
    consumer = Consumer(reader_config(kafka, group=_NO_GROUP), logger=quiet_logger())
    try:
        consumer.assign(
            [TopicPartition(topic, number, bounds[number][0]) for number in end_offsets]
        )
        deadline = clock() + STALL_TIMEOUT_SECONDS
        while end_offsets:
            batch = []
            for message in consumer.consume(FETCH_RECORDS, 0.2):
                deadline = clock() + STALL_TIMEOUT_SECONDS
                if _is_wanted(message, end_offsets):
                    batch.append(message)
                    counts[message.partition() or 0] += 1
                if max_records is not None and counts[message.partition() or 0] >= max_records:
                    end_offsets.pop(message.partition() or 0, None)
            yield batch
            if clock() > deadline:
                raise BrokerUnavailable(
                    f'"{topic}": nothing came for {STALL_TIMEOUT_SECONDS:g} s, with offsets up to '
                    f"{end_offsets} (by partition) still to be read: is the broker up, or a "
                    "transaction left open?"
                )
    finally:
        consumer.close()


def watermarks(kafka: Mapping[str, Any], topic: str) -> dict[int, tuple[int, int]]:
    """Return each partition's first retained offset and its end, open transactions included.

    Raises BrokerUnavailable where there is no such topic or no answer.
    """
    # With read_committed the broker answers with the last stable offset, which an open transaction
    # holds below what is committed after it.
    config = reader_config(kafka, group=_NO_GROUP) | {"isolation.level": "read_uncommitted"}
    metadata_client = Consumer(config, logger=quiet_logger())
    try:
        numbers = topic_partitions(metadata_client, topic)
        if not numbers:
            raise BrokerUnavailable(
                f'there is no topic "{topic}" at {kafka.get("bootstrap.servers")}: correct its '
                "name, or make it with `sensorwatch topics create`"
            )
        return {
            number: metadata_client.get_watermark_offsets(
                TopicPartition(topic, number), CALL_TIMEOUT_SECONDS
            )
            for number in numbers
        }
    except KafkaException as error:
        raise BrokerUnavailable(f'"{topic}" cannot be read: {error.args[0].str()}') from error
    finally:
        metadata_client.close()


def topic_partitions(consumer: Consumer, topic: str) -> list[int]:
    """Return the numbers of a topic's partitions, none where there is no such topic.

    Raises BrokerUnavailable.
    """
    try:
        metadata = consumer.list_topics(topic, timeout=CALL_TIMEOUT_SECONDS).topics[topic]
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no answer from the broker: {error.args[0].str()}; is the one of [kafka] "
            '"bootstrap.servers" up?'
        ) from error
    if metadata.error is not None and metadata.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
        return []
    return sorted(metadata.partitions)


def _bounds(
    watermarks_by_partition: Mapping[int, tuple[int, int]],
    begin: Mapping[int, int] | None,
    end: Mapping[int, int] | None,
) -> dict[int, tuple[int, int]]:
    return {
        number: (max(low, (begin or {}).get(number, low)), min(high, (end or {}).get(number, high)))
        for number, (low, high) in watermarks_by_partition.items()
        if begin is None or number in begin
    }


def _is_wanted(message: Message, end_offsets: dict[int, int]) -> bool:
    """Say whether the message is asked for, and note partitions that have come to their end."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
        if transient(error) and not error.fatal():
            return False
        raise BrokerUnavailable(f'"{message.topic()}" cannot be read: {error.str()}')
    number, offset = message.partition(), message.offset()
    assert number is not None
    assert offset is not None
    end_offset = end_offsets.get(number)
    if end_offset is None:
        return False
    # At the end of a partition control records may stand, which are never delivered.
    if offset >= (end_offset - 1 if error is None else end_offset):
        del end_offsets[number]
    return error is None and offset < end_offset
