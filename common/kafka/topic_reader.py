"""Reads all committed records of a topic, up to its current end, without joining a group."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger

CALL_TIMEOUT_SECONDS = 5.0
"""Timeout of one call to the broker."""
STALL_TIMEOUT_SECONDS = 60.0
"""Longest wait for the next record. If a producer dies, its open transaction blocks later records
for less than this time."""
SHORT_RETRY = RetryPolicy(10.0)
"""Retry policy for commands that a user waits for."""
FETCH_RECORDS = 1_000

T = TypeVar("T")

_NO_GROUP = "sensorwatch-reader"
"""A group id, which the client requires even if the consumer never joins a group."""


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

    `begin`, `end`: first offset and exclusive end offset by partition; by default, all records that
    the topic has at the time of the call. If `begin` is given, only the partitions in it are read.
    `max_records`: largest number of records of each partition. If a transaction is open below the
    end offset, the reader waits until it ends.

    Raises BrokerUnavailable if the topic is missing, if the broker still does not answer after
    `retry`, or if no record comes for `stall_seconds`.
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
    """Yield the records of `read_topic` in batches; a batch is empty if no record came for a while.

    This function is for callers that do other work while they wait for records.
    """
    bounds = _offset_bounds(watermarks(kafka, topic, retry=retry), begin, end)
    end_offsets = {
        number: end_offset for number, (start, end_offset) in bounds.items() if start < end_offset
    }
    counts: Counter[int] = Counter()
    consumer = Consumer(reader_config(kafka, group=_NO_GROUP), logger=silent_logger())
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
            yielded_at = clock()
            yield batch
            # The time in which the caller handles a batch is not a wait for the broker.
            deadline += clock() - yielded_at
            if clock() > deadline:
                raise BrokerUnavailable(
                    f'"{topic}": no record came for {stall_seconds:g} s, but offsets up to '
                    f"{end_offsets} (by partition) are not read yet: check that the broker is up "
                    "and that no transaction is open"
                )
    finally:
        consumer.close()


def watermarks(
    kafka: Mapping[str, Any], topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> dict[int, tuple[int, int]]:
    """Return each partition's first retained offset and its end offset.

    The end offset also counts the records of open transactions. Raises BrokerUnavailable if the
    topic does not exist, or if the broker still does not answer after `retry`.
    """
    # With read_committed, the broker would return the last stable offset as the end offset. This
    # offset stays below the first record of an open transaction, and thus below records that were
    # committed after it.
    config = reader_config(kafka, group=_NO_GROUP) | {"isolation.level": "read_uncommitted"}
    metadata_client = Consumer(config, logger=silent_logger())
    try:
        numbers = topic_partitions(metadata_client, topic, retry=retry)
        if not numbers:
            raise BrokerUnavailable(
                f'there is no topic "{topic}" at {kafka.get("bootstrap.servers")}: correct its '
                "name, or create it with `sensorwatch topics create`"
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
    consumer: Consumer, topic_partition: TopicPartition, *, retry: RetryPolicy
) -> tuple[int, int]:
    """Return a partition's first retained offset and its end offset; raises KafkaException."""
    return ask_leader(
        consumer,
        topic_partition.topic,
        lambda: consumer.get_watermark_offsets(topic_partition, CALL_TIMEOUT_SECONDS),
        retry=retry,
    )


def ask_leader(
    consumer: Consumer, topic: str, question: Callable[[], T], *, retry: RetryPolicy
) -> T:
    """Call `question`, which asks the leader of a partition, and return the result.

    After a failure, this function reads the topic's metadata again. Otherwise the client would keep
    calling a leader that was killed, because the client does not refresh the metadata of a topic
    that it does not consume. Raises KafkaException.
    """

    def ask_or_refresh() -> T:
        try:
            return question()
        except KafkaException:
            with suppress(KafkaException):
                consumer.list_topics(topic, timeout=CALL_TIMEOUT_SECONDS)
            raise

    return retry.ask(ask_or_refresh)


def offset_at(
    consumer: Consumer, topic: str, number: int, milliseconds: int, *, retry: RetryPolicy
) -> int | None:
    """Return the offset of a partition's first record at or after a timestamp.

    `milliseconds`: since 1970 UTC. Return None if there is no such record. Raises KafkaException.
    """
    timestamp = TopicPartition(topic, number, milliseconds)
    (answer,) = ask_leader(
        consumer,
        topic,
        lambda: consumer.offsets_for_times([timestamp], CALL_TIMEOUT_SECONDS),
        retry=retry,
    )
    return None if answer.offset < 0 else int(answer.offset)


def topic_partitions(
    consumer: Consumer, topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> list[int]:
    """Return the numbers of a topic's partitions; an empty list if the topic does not exist.

    Raises BrokerUnavailable if the broker still does not answer after `retry`.
    """

    def read_numbers() -> list[int]:
        metadata = consumer.list_topics(topic, timeout=CALL_TIMEOUT_SECONDS).topics[topic]
        if metadata.error is not None:
            if metadata.error.code() in _NO_SUCH_TOPIC:
                return []
            if metadata.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
                raise KafkaException(metadata.error)
        return sorted(metadata.partitions)

    try:
        return retry.ask(read_numbers)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no answer from the broker: {error.args[0].str()}; check that the broker of [kafka] "
            '"bootstrap.servers" is up'
        ) from error


_NO_SUCH_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the client's name for it
    KafkaError.TOPIC_EXCEPTION,
}


def _offset_bounds(
    watermarks_by_partition: Mapping[int, tuple[int, int]],
    begin: Mapping[int, int] | None,
    end: Mapping[int, int] | None,
) -> dict[int, tuple[int, int]]:
    return {
        number: (
            max(first_offset, (begin or {}).get(number, first_offset)),
            min(end_offset, (end or {}).get(number, end_offset)),
        )
        for number, (first_offset, end_offset) in watermarks_by_partition.items()
        if begin is None or number in begin
    }


def _is_wanted(message: Message, end_offsets: dict[int, int]) -> bool:
    """Return whether a message is below its partition's end offset.

    If this message is the last one of its partition, remove the partition from `end_offsets`.
    """
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
        if is_transient(error):
            return False
        raise BrokerUnavailable(f'"{message.topic()}" cannot be read: {error.str()}')
    number, offset = message.partition(), message.offset()
    assert number is not None
    assert offset is not None
    end_offset = end_offsets.get(number)
    if end_offset is None:
        return False
    # A partition may end with control records, which the client never delivers.
    if offset >= (end_offset - 1 if error is None else end_offset):
        del end_offsets[number]
    return error is None and offset < end_offset
