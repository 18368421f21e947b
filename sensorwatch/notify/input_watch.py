"""Finds input partitions in which no new record has arrived for a long time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.records import received_at
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.topic_reader import partition_bounds, read_topic, topic_partitions
from sensorwatch.common.runtime.logs import kafka_logger
from sensorwatch.notify.incident_book import is_older

_NO_RETRY = RetryPolicy(0.0)
_STALL_SECONDS = 5.0


class InputWatch:
    """Follows the ends of the partitions of the input topic, by the clock of this computer.

    A partition that never had a record is not idle: perhaps no key belongs to it.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topic: str,
        *,
        idle_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        """Connect a client; `now` returns the wall-clock time in UTC."""
        self.topic = topic
        self._kafka, self._idle_seconds, self._now = kafka, idle_seconds, now
        self._consumer = Consumer(
            reader_config(kafka, group="sensorwatch-input-watch"), logger=kafka_logger()
        )
        self._ends: dict[int, int] = {}
        self._last_times: dict[int, datetime] = {}

    def idle_partitions(self) -> dict[int, datetime]:
        """Return the time of the last record of each idle partition.

        The result is empty if the broker does not answer.
        """
        try:
            self._measure()
        except (KafkaException, BrokerUnavailable):
            return {}
        now = self._now()
        return {
            number: last_time
            for number, last_time in self._last_times.items()
            if is_older(last_time, now, self._idle_seconds)
        }

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()

    def _measure(self) -> None:
        new_ends = {}
        for number in topic_partitions(self._consumer, self.topic, retry=_NO_RETRY):
            partition = TopicPartition(self.topic, number)
            _, end = partition_bounds(self._consumer, partition, retry=_NO_RETRY)
            if end > self._ends.get(number, 0):
                new_ends[number] = end
        if not new_ends:
            return
        first_ends = {number: end for number, end in new_ends.items() if number not in self._ends}
        times = self._times_of_last_records(first_ends) if first_ends else {}
        for number, end in new_ends.items():
            self._last_times[number] = times.get(number, self._now())
            self._ends[number] = end

    def _times_of_last_records(self, ends: Mapping[int, int]) -> dict[int, datetime]:
        """Return the Kafka timestamp of the last record of each partition that still has it."""
        times = {}
        records = read_topic(
            self._kafka,
            self.topic,
            begin={number: end - 1 for number, end in ends.items()},
            end=ends,
            stall_seconds=_STALL_SECONDS,
            retry=_NO_RETRY,
        )
        for record in records:
            microseconds = received_at(record)
            if microseconds is not None and 0 <= microseconds < self._now().timestamp() * 1e6:
                times[record.partition() or 0] = datetime.fromtimestamp(microseconds / 1e6, UTC)
        return times
