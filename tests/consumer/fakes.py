"""A fake of the Kafka client's class Consumer; tests choose what its methods return."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.kafka.record_builders import StoredRecord

TOPIC = "sensors"
MEMBERSHIP = b"CGMDv2:\x01\x00\x00\x00group\0member\0\0"
ConsumeStep = Sequence[object] | Callable[["FakeConsumer"], Sequence[object]]


class FailedFetch:
    """A message that reports an error; consume() of the client returns it instead of a record."""

    def __init__(self, code: int, *, fatal: bool = False) -> None:
        self._error = KafkaError(code, "made by a test", fatal)

    def error(self) -> KafkaError:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


def partition_with_error(partition: TopicPartition, error: KafkaError) -> TopicPartition:
    """Return a partition with an error, as the client returns it after an answer with an error."""
    partition_class = type("WithError", (TopicPartition,), {"error": error})
    return cast("TopicPartition", partition_class(partition.topic, partition.partition, -1001))


class FakeConsumer:
    """A consumer whose calls of consume() return the items of `steps`, one item per call."""

    def __init__(self, *steps: ConsumeStep) -> None:
        self.steps = list(steps)
        self.offsets: dict[int, TopicPartition] = {}
        self.watermarks = (3, 90)
        self.offsets_by_time: dict[int, int] = {}
        self.time_errors: list[KafkaError] = []
        """The errors of the next partitions that `offsets_for_times` returns."""
        self.committed_failures: list[KafkaException] = []
        self.watermark_failures: list[KafkaException] = []
        self.seek_failures: list[KafkaException] = []
        self.committed_calls = 0
        self.metadata_reads = 0
        self.consume_timeouts: list[float] = []
        """The timeout of each consume() call, in seconds."""
        self.assigned_partitions: list[TopicPartition] = []
        self.seeks: list[tuple[int, int]] = []
        self.paused_partitions: list[int] = []
        self.callbacks: dict[str, Any] = {}
        self.is_closed = False
        self.incremental = False

    def as_client(self) -> Consumer:
        return cast("Consumer", self)

    def commit_offset(self, partition: int, offset: int, metadata: str = "") -> None:
        self.offsets[partition] = TopicPartition(TOPIC, partition, offset, metadata=metadata)

    # Methods with which a test triggers a rebalance.

    def assign_partitions(self, *partitions: int) -> None:
        self.callbacks["on_assign"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def revoke_partitions(self, *partitions: int, kind: str = "on_revoke") -> None:
        self.callbacks[kind](self, [TopicPartition(TOPIC, p) for p in partitions])

    # Methods of the client's Consumer.

    def subscribe(self, _topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def consume(self, count: int, seconds: float) -> Sequence[object]:
        self.consume_timeouts.append(seconds)
        step = self.steps[0] if self.steps else []
        if step and not callable(step) and self._all_paused:
            return []  # while all partitions are paused, the step waits
        self.steps[:1] = []
        messages = step(self) if callable(step) else step
        assert len(messages) <= count
        return messages

    @property
    def _all_paused(self) -> bool:
        assigned_numbers = {partition.partition for partition in self.assigned_partitions}
        return bool(assigned_numbers) and assigned_numbers <= set(self.paused_partitions)

    def committed(self, partitions: list[TopicPartition], _seconds: float) -> list[TopicPartition]:
        self.committed_calls += 1
        if self.committed_failures:
            raise self.committed_failures.pop(0)
        no_offset = -1001
        return [
            self.offsets.get(p.partition, TopicPartition(p.topic, p.partition, no_offset))
            for p in partitions
        ]

    def get_watermark_offsets(self, _partition: TopicPartition, _seconds: float) -> tuple[int, int]:
        if self.watermark_failures:
            raise self.watermark_failures.pop(0)
        return self.watermarks

    def list_topics(self, topic: str, *, timeout: float) -> None:
        del topic, timeout
        self.metadata_reads += 1

    def offsets_for_times(
        self, time_requests: list[TopicPartition], _seconds: float
    ) -> list[TopicPartition]:
        if self.time_errors:
            return [
                partition_with_error(request, self.time_errors.pop(0)) for request in time_requests
            ]
        return [
            TopicPartition(
                request.topic, request.partition, self.offsets_by_time.get(request.offset, -1)
            )
            for request in time_requests
        ]

    def consumer_group_metadata(self) -> bytes:
        return MEMBERSHIP

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned_partitions = list(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.incremental = True
        self.assigned_partitions += partitions

    def assignment(self) -> list[TopicPartition]:
        return self.assigned_partitions

    def seek(self, position: TopicPartition) -> None:
        if self.seek_failures:
            raise self.seek_failures.pop(0)
        self.seeks.append((position.partition, position.offset))

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused_partitions += [partition.partition for partition in partitions]

    def resume(self, partitions: list[TopicPartition]) -> None:
        resumed_numbers = {partition.partition for partition in partitions}
        self.paused_partitions = [
            number for number in self.paused_partitions if number not in resumed_numbers
        ]

    def close(self) -> None:
        self.is_closed = True


def records_at(partition: int, *offsets: int) -> list[StoredRecord]:
    """Return records at these offsets of a partition; each value is an empty JSON object."""
    return [StoredRecord(b"{}", offset, partition) for offset in offsets]
