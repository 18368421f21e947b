"""Everything that is committed in a topic as of now, read without joining a group."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from common.errors import BrokerUnavailable
from common.messaging.kafka_config import reader_config

CALL_SECONDS = 10.0
STALL_SECONDS = 60.0
"""Longer than a dead writer's transaction holds back what others committed after it."""


def read_topic(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    begin: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Message]:
    """Yield the committed records of a topic, in order within each partition.

    `begin`, `end`: offsets by partition (end exclusive); without them from the first record to the
    last one there is at the call. Where `begin` is given, partitions not in it are left out.
    A transaction that is still open below the end is waited for.
    Raises BrokerUnavailable where the topic is missing or nothing comes any more.
    """
    consumer = Consumer(reader_config(kafka, group=f"sensorwatch-reader-{topic}"))
    try:
        bounds = _bounds(kafka, consumer, topic, begin, end)
        waiting = {number: stop for number, (start, stop) in bounds.items() if start < stop}
        consumer.assign([TopicPartition(topic, number, bounds[number][0]) for number in waiting])
        deadline = clock() + STALL_SECONDS
        while waiting:
            for message in consumer.consume(1_000, 0.2):
                deadline = clock() + STALL_SECONDS
                if _belongs(message, waiting):
                    yield message
            if clock() > deadline:
                raise BrokerUnavailable(
                    f'"{topic}": nothing came for {STALL_SECONDS:g} s, with offsets up to '
                    f"{waiting} (by partition) still to be read: is the broker up, or a "
                    "transaction left open?"
                )
    finally:
        consumer.close()


def topic_partitions(consumer: Consumer, topic: str) -> list[int]:
    """Return the numbers of a topic's partitions, none where there is no such topic.

    Raises BrokerUnavailable.
    """
    try:
        found = consumer.list_topics(topic, timeout=CALL_SECONDS).topics[topic]
    except KafkaException as error:
        raise BrokerUnavailable(f"no answer from the broker: {error.args[0].str()}") from error
    if found.error is not None and found.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
        return []
    return sorted(found.partitions)


def _bounds(
    kafka: Mapping[str, Any],
    consumer: Consumer,
    topic: str,
    begin: Mapping[int, int] | None,
    end: Mapping[int, int] | None,
) -> dict[int, tuple[int, int]]:
    numbers = topic_partitions(consumer, topic)
    if not numbers:
        raise BrokerUnavailable(f'there is no topic "{topic}" on this broker')
    # With read_committed the broker answers with the last stable offset, which an open transaction
    # holds below what is committed after it.
    asking = Consumer(
        reader_config(kafka, group=f"sensorwatch-reader-{topic}")
        | {"isolation.level": "read_uncommitted"}
    )
    bounds = {}
    try:
        for number in numbers if begin is None else sorted(begin):
            low, high = asking.get_watermark_offsets(TopicPartition(topic, number), CALL_SECONDS)
            start = low if begin is None else max(low, begin[number])
            bounds[number] = (start, high if end is None else min(high, end.get(number, high)))
    except KafkaException as error:
        raise BrokerUnavailable(f'"{topic}" cannot be read: {error.args[0].str()}') from error
    finally:
        asking.close()
    return bounds


def _belongs(message: Message, waiting: dict[int, int]) -> bool:
    """Say whether the message is asked for, and note partitions that have come to their end."""
    number, offset = message.partition(), message.offset()
    assert number is not None
    assert offset is not None
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
        if error.fatal() or not error.retriable():
            raise BrokerUnavailable(f'"{message.topic()}" cannot be read: {error.str()}')
        return False
    stop = waiting.get(number)
    if stop is None:
        return False
    if error is not None:  # the end of the partition; control records may stand before it
        if offset >= stop:
            del waiting[number]
        return False
    if offset >= stop - 1:
        del waiting[number]
    return offset < stop
