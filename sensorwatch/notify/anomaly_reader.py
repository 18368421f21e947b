"""Reads the anomaly topic for the notifier, and commits how far its state is saved."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.topic_reader import (
    CALL_TIMEOUT_SECONDS,
    SHORT_RETRY,
    offset_at,
    partition_bounds,
    topic_partitions,
)
from sensorwatch.common.runtime.logs import kafka_logger
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.notify.policy import NotifyPolicy

SMALL_PARTITION = 100_000
"""A partition with fewer records is read from its first record on, which needs no search by time.

The embedded broker cannot search by time, and never has more records."""
_MAX_MESSAGES = 1_000
_NO_RETRY = RetryPolicy(0.0)


class AnomalyReader:
    """Reads all partitions of the anomaly topic without joining the consumer group.

    Reading begins at the first record that is at most `max_age` old, or at the first record that is
    not committed, at the older of the two. So the state is complete even if the committed offsets
    are lost.
    """

    def __init__(self, kafka: Mapping[str, Any], topic: str, *, group: str, begin_ms: int) -> None:
        """Find the first offsets. `begin_ms`: milliseconds since 1970 UTC.

        Raises BrokerUnavailable if the topic cannot be read.
        """
        self._topic, self._begin_ms = topic, begin_ms
        self._consumer = Consumer(reader_config(kafka, group=group), logger=kafka_logger())
        self._end_offsets: dict[int, int] = {}
        self._next_offsets: dict[int, int] = {}
        self.has_committed = False
        """Whether an earlier notifier of the group has committed offsets."""
        try:
            self._assign(topic_partitions(self._consumer, topic))
        except KafkaException as error:
            self._consumer.close()
            raise BrokerUnavailable(
                f'the topic "{topic}" cannot be read: {error.args[0].str()}; is the broker up?'
            ) from error
        if not self._next_offsets:
            self._consumer.close()
            raise BrokerUnavailable(
                f'there is no topic "{topic}": create it with `sensorwatch topics create`, or '
                "correct [topics] anomalies"
            )

    def poll(self, wait_seconds: float) -> list[Message]:
        """Return the records that are available; wait for the first one.

        An unreachable broker gives no records. Raises BrokerUnavailable for permanent errors.
        """
        first_messages = self._consumer.consume(1, wait_seconds)
        next_messages = self._consumer.consume(_MAX_MESSAGES, 0) if first_messages else []
        messages = [
            message for message in [*first_messages, *next_messages] if self._is_record(message)
        ]
        for message in messages:
            number, offset = message.partition(), message.offset()
            assert number is not None
            assert offset is not None
            self._next_offsets[number] = offset + 1
        return messages

    @property
    def partitions(self) -> list[int]:
        """The numbers of the partitions that are read."""
        return sorted(self._next_offsets)

    def is_caught_up(self) -> bool:
        """Return whether all records that existed at the last `measure_lag` were read."""
        return all(self.lag(number) == 0 for number in self._next_offsets)

    def lag(self, number: int) -> int:
        """Return the number of records of a partition that were not read at the last measure."""
        return max(0, self._end_offsets.get(number, 0) - self._next_offsets[number])

    def measure_lag(self) -> bool:
        """Ask the broker for the ends of the partitions. Return whether it answered."""
        try:
            numbers = topic_partitions(self._consumer, self._topic, retry=_NO_RETRY)
            new_numbers = set(numbers) - set(self._next_offsets)
            if new_numbers:
                self._assign(sorted(new_numbers))
            for number in self._next_offsets:
                _, self._end_offsets[number] = self._bounds(number, _NO_RETRY)
        except (KafkaException, BrokerUnavailable):
            return False
        return True

    def commit(self) -> bool:
        """Commit the offsets of the next records. Return whether the broker stored them."""
        offsets = [
            TopicPartition(self._topic, number, offset)
            for number, offset in self._next_offsets.items()
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException:
            return False
        return True

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()

    def _assign(self, numbers: list[int]) -> None:
        partitions = [TopicPartition(self._topic, number) for number in numbers]
        committed_offsets = {
            partition.partition: partition.offset
            for partition in self._committed(partitions)
            if partition.offset >= 0
        }
        self.has_committed = self.has_committed or bool(committed_offsets)
        for number in numbers:
            first_offset, end_offset = self._bounds(number)
            offset = self._offset_at_begin(number, first_offset, end_offset)
            offset = max(first_offset, min(offset, committed_offsets.get(number, offset)))
            self._next_offsets[number] = offset
            self._end_offsets[number] = end_offset
        self._consumer.assign(
            [
                TopicPartition(self._topic, number, offset)
                for number, offset in self._next_offsets.items()
            ]
        )

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        def ask() -> list[TopicPartition]:
            return list(self._consumer.committed(partitions, CALL_TIMEOUT_SECONDS))

        return SHORT_RETRY.ask(ask) if partitions else []

    def _bounds(self, number: int, retry: RetryPolicy = SHORT_RETRY) -> tuple[int, int]:
        partition = TopicPartition(self._topic, number)
        return partition_bounds(self._consumer, partition, retry=retry)

    def _offset_at_begin(self, number: int, first_offset: int, end_offset: int) -> int:
        if end_offset - first_offset <= SMALL_PARTITION:
            return first_offset
        offset = offset_at(self._consumer, self._topic, number, self._begin_ms, retry=SHORT_RETRY)
        return end_offset if offset is None else offset

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        number = message.partition()
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client has no public name for it
            offset = message.offset()
            if number in self._next_offsets and offset is not None:
                # The last records of a partition may be markers of transactions.
                self._next_offsets[number] = max(self._next_offsets[number], offset)
            return False
        if is_transient(error):
            return False
        raise BrokerUnavailable(f'the topic "{message.topic()}" cannot be read: {error.str()}')


def open_reader(settings: Settings, policy: NotifyPolicy, begin: datetime) -> AnomalyReader:
    """Return a reader of the events that are needed for all messages since `begin`.

    Raises BrokerUnavailable if the anomaly topic cannot be read.
    """
    first_time = begin - timedelta(seconds=policy.max_age_seconds)
    return AnomalyReader(
        settings.kafka,
        settings.topics.anomalies,
        group=settings.notify_group,
        begin_ms=int(first_time.timestamp() * 1_000),
    )
