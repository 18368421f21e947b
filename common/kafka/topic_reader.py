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
from sensorwatch.common.kafka.silent_logger import quiet_logger

CALL_TIMEOUT_SECONDS = 5.0
"""Timeout of one call to the broker."""
STALL_TIMEOUT_SECONDS = 60.0
"""Longer than the open transaction of a dead writer can block later records."""
SHORT_RETRY = RetryPolicy(10.0)
"""For commands that a user waits for."""
FETCH_RECORDS = 1_000

Answer = TypeVar("Answer")

_NO_GROUP = "sensorwatch-reader"
"""The client requires a group id even if the consumer never joins a group."""


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

    `begin`, `end`: offsets by partition, end exclusive. Default: from the first record to the last
    one at the time of the call. If `begin` is given, only its partitions are read. `max_records`:
    bound for each partition. The reader waits for transactions that are open below the end. Raises
    BrokerUnavailable if the topic is missing, if the broker still does not answer after `retry`, or
    if no record comes for `stall_seconds`.
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
    """Yield the records of `read_topic` in batches; an empty batch means that none came yet.

    This is for callers that do other work while they wait.
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
                    f'"{topic}": no record came for {stall_seconds:g} s, but offsets up to '
                    f"{end_offsets} (by partition) are not read yet: check that the broker is up "
                    "and that no transaction is open"
                )
    finally:
        consumer.close()


def watermarks(
    kafka: Mapping[str, Any], topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> dict[int, tuple[int, int]]:
    """Return each partition's first retained offset and its end, open transactions included.

    Raises BrokerUnavailable if there is no such topic, or still no answer after `retry`.
    """
    # With read_committed the broker returns the last stable offset. An open transaction keeps that
    # below records that were committed later.
    config = reader_config(kafka, group=_NO_GROUP) | {"isolation.level": "read_uncommitted"}
    metadata_client = Consumer(config, logger=quiet_logger())
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
    consumer: Consumer, where: TopicPartition, *, retry: RetryPolicy
) -> tuple[int, int]:
    """Return a partition's first retained offset and its end; raises KafkaException."""
    return ask_leader(
        consumer,
        where.topic,
        lambda: consumer.get_watermark_offsets(where, CALL_TIMEOUT_SECONDS),
        retry=retry,
    )


def ask_leader(
    consumer: Consumer, topic: str, question: Callable[[], Answer], *, retry: RetryPolicy
) -> Answer:
    """Return the answer to a question that the leader of a partition answers.

    After a failure the metadata is read again. For a topic that it does not consume, the client
    does not do that by itself, and asks a leader that was killed again and again. Raises
    KafkaException.
    """

    def ask() -> Answer:
        try:
            return question()
        except KafkaException:
            with suppress(KafkaException):
                consumer.list_topics(topic, timeout=CALL_TIMEOUT_SECONDS)
            raise

    return retry.ask(ask)


def topic_partitions(
    consumer: Consumer, topic: str, *, retry: RetryPolicy = SHORT_RETRY
) -> list[int]:
    """Return the numbers of a topic's partitions; an empty list if the topic does not exist.

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
            f"no answer from the broker: {error.args[0].str()}; check that the broker of [kafka] "
            '"bootstrap.servers" is up'
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
    """Return whether a message is in range; remove partitions that reached their end."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
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
