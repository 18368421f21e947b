"""Everything that is committed in a topic as of now, read without joining a group."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import quiet_logger

CALL_TIMEOUT_SECONDS = 10.0
"""The longest that one question to the broker waits for its answer."""
STALL_TIMEOUT_SECONDS = 60.0
"""Longer than a dead writer's transaction holds back what others committed after it."""
SHORT_RETRY = RetryPolicy(10.0)
"""For a person who waits for the answer."""
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
    stall_seconds: float = STALL_TIMEOUT_SECONDS,
    retry: RetryPolicy = SHORT_RETRY,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Message]:
    """Yield the committed records of a topic, in order within each partition.

    `begin`, `end`: offsets by partition (end exclusive); without them from the first record to the
    last one there is at the call. Where `begin` is given, partitions not in it are left out.
    `max_records`: the most records of each partition. A transaction that is still open below the
    end is waited for. Raises BrokerUnavailable if the topic is missing, if the broker still does
    not answer after `retry`, or if no record comes for `stall_seconds`.
    """
    batches = read_topic_batches(
        kafka,
        topic,
        begin=begin,
        end=end,
        max_records=max_records,
        stall_seconds=stall_seconds,
        retry=retry,
        clock=clock,
    )
    for batch in batches:
        yield from batch


def read_topic_batches(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    begin: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    max_records: int | None = None,
    stall_seconds: float = STALL_TIMEOUT_SECONDS,
    retry: RetryPolicy = SHORT_RETRY,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Message]]:
    """Yield what `read_topic` does as it comes; an empty piece says that we wait.

    For a caller with something else to do meanwhile.
    """
    bounds = _bounds(watermarks(kafka, topic, retry=retry), begin, end)
    end_offsets = {
        number: end_offset for number, (start, end_offset) in bounds.items() if start < end_offset
    }
    counts: Counter[int] = Counter()
    consumer = Consumer(reader_config(kafka, group=_NO_GROUP), logger=quiet_logger())
    try:
        consumer.assign(
            [TopicPartition(topic, number, bounds[number][0]) for number in end_offsets]
        )
        deadline = clock() + stall_seconds
        while end_offsets:
            batch = []
            for message in consumer.consume(FETCH_RECORDS, 0.2):
                deadline = clock() + stall_seconds
                if _is_wanted(message, end_offsets):
                    batch.append(message)
                    counts[message.partition() or 0] += 1
                if max_records is not None and counts[message.partition() or 0] >= max_records:
                    end_offsets.pop(message.partition() or 0, None)
            yield batch
            if clock() > deadline:
                raise BrokerUnavailable(
                    f'"{topic}": no record came for {stall_seconds:g} s, with offsets up to '
                    f"{end_offsets} (by partition) still to be read: is the broker up, or a "
                    "transaction left open?"
                )
    finally:
        consumer.close()


def watermarks(
    kafka: Mapping[str, Any], topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> dict[int, tuple[int, int]]:
    """Return each partition's first retained offset and its end, open transactions included.

    Raises BrokerUnavailable if there is no such topic, or still no answer after `retry`.
    """
    # With read_committed the broker answers with the last stable offset, which an open transaction
    # holds below what is committed after it.
    config = reader_config(kafka, group=_NO_GROUP) | {"isolation.level": "read_uncommitted"}
    metadata_client = Consumer(config, logger=quiet_logger())
    try:
        numbers = topic_partitions(metadata_client, topic, retry=retry)
        if not numbers:
            raise BrokerUnavailable(
                f'there is no topic "{topic}" at {kafka.get("bootstrap.servers")}: correct its '
                "name, or make it with `sensorwatch topics create`"
            )
        return {
            number: partition_bounds(metadata_client, TopicPartition(topic, number), retry=retry)
            for number in numbers
        }
    except KafkaException as error:
        raise BrokerUnavailable(f'"{topic}" cannot be read: {error.args[0].str()}') from error
    finally:
        metadata_client.close()


def partition_bounds(
    consumer: Consumer, where: TopicPartition, *, retry: RetryPolicy
) -> tuple[int, int]:
    """Return a partition's first retained offset and its end; raises KafkaException."""
    return retry.ask(lambda: consumer.get_watermark_offsets(where, CALL_TIMEOUT_SECONDS))


def topic_partitions(
    consumer: Consumer, topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> list[int]:
    """Return the numbers of a topic's partitions, none if there is no such topic.

    Raises BrokerUnavailable if the broker still does not answer after `retry`.
    """

    def ask() -> list[int]:
        metadata = consumer.list_topics(topic, timeout=CALL_TIMEOUT_SECONDS).topics[topic]
        if metadata.error is not None:
            if metadata.error.code() in _NO_SUCH_TOPIC:
                return []
            if metadata.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
                raise KafkaException(metadata.error)
        return sorted(metadata.partitions)

    try:
        return retry.ask(ask)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no answer from the broker: {error.args[0].str()}; is the one of [kafka] "
            '"bootstrap.servers" up?'
        ) from error


_NO_SUCH_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the client's name for it
    KafkaError.TOPIC_EXCEPTION,
}


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
        if transient(error):
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
