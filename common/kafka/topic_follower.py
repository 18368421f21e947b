"""Read new records of topics continuously, without a consumer group and without commits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.topic_reader import SHORT_RETRY, offset_at
from sensorwatch.common.kafka.topics import require_topics

CALL_TIMEOUT_SECONDS = 10.0
WAIT_SECONDS = 0.1
"""The time after which a call of the Kafka client returns without a record.

This time is short, because Python runs a signal handler only after the call has returned.
"""
_MAX_MESSAGES = 1_000


class StartAt(StrEnum):
    """The first record to read: the oldest one in the topic, or the next one that arrives."""

    NOW = "now"
    BEGINNING = "beginning"


def follow_topics(
    kafka: Mapping[str, Any],
    topics: Sequence[str],
    *,
    begin: StartAt | int,
    stopping: Callable[[], bool] = lambda: False,
    connect_seconds: float = CALL_TIMEOUT_SECONDS,
    **client_arguments: Any,
) -> Iterator[list[Message]]:
    """Yield lists of new committed records until `stopping` returns True.

    `begin`: the first record to read; a number is the earliest timestamp of records to read,
    milliseconds since 1970 UTC. The records of a partition are in order. A list is empty if no
    record arrived within `WAIT_SECONDS`. `connect_seconds`: longest wait for the first answer of
    the broker. `client_arguments`: further arguments for the Kafka client, such as `logger`.
    Raises BrokerUnavailable if a topic cannot be read.
    """
    partitions = require_topics(kafka, topics, timeout=connect_seconds)
    consumer = Consumer(reader_config(kafka, group="sensorwatch-follower"), **client_arguments)
    try:
        consumer.assign(list(_start_offsets(consumer, partitions, begin)))
        while not stopping():
            # Only one record is requested with a wait, because `consume` waits for the full time
            # unless it gets the requested number of records.
            first_messages = consumer.consume(1, WAIT_SECONDS)
            next_messages = consumer.consume(_MAX_MESSAGES, 0) if first_messages else []
            yield [message for message in [*first_messages, *next_messages] if _is_record(message)]
    finally:
        consumer.close()


def _start_offsets(
    consumer: Consumer, partitions: Mapping[str, int], begin: StartAt | int
) -> Iterator[TopicPartition]:
    for topic, partition_count in partitions.items():
        try:
            yield from [
                _start_offset(consumer, topic, number, begin) for number in range(partition_count)
            ]
        except KafkaException as error:
            raise BrokerUnavailable(
                f'the offsets of "{topic}" cannot be read: {error.args[0].str()}; is the broker up?'
            ) from error


def _start_offset(
    consumer: Consumer, topic: str, partition_number: int, begin: StartAt | int
) -> TopicPartition:
    """Return the partition with the offset of its first record to read."""
    partition = TopicPartition(topic, partition_number)
    first_offset, end_offset = consumer.get_watermark_offsets(partition, CALL_TIMEOUT_SECONDS)
    if begin is StartAt.BEGINNING:
        offset = first_offset
    elif begin is StartAt.NOW:
        offset = end_offset
    else:
        found_offset = offset_at(consumer, topic, partition_number, begin, retry=SHORT_RETRY)
        offset = end_offset if found_offset is None else found_offset
    return TopicPartition(topic, partition_number, offset)


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._PARTITION_EOF or error.retriable():  # noqa: SLF001 - the client has no public name for it
        return False
    raise BrokerUnavailable(f'the topic "{message.topic()}" cannot be read: {error.str()}')
