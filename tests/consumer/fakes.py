"""A group's consumer as a test tells it to be, behind the part of the client that is used."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.kafka.record_builders import StoredRecord

TOPIC = "sensors"
MEMBERSHIP = b"CGMDv2:\x01\x00\x00\x00group\0member\0\0"
ConsumeStep = Sequence[object] | Callable[["FakeConsumer"], Sequence[object]]


class FailedFetch:
    """What consume() gives in place of a record where something is wrong."""

    def __init__(self, code: int, *, fatal: bool = False) -> None:
        self._error = KafkaError(code, "told by a test", fatal)

    def error(self) -> KafkaError:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


def with_error(where: TopicPartition, error: KafkaError) -> TopicPartition:
    """Make the answer for a partition about which the broker reports an error."""
    kind = type("WithError", (TopicPartition,), {"error": error})
    return cast("TopicPartition", kind(where.topic, where.partition, -1001))


class FakeConsumer:
    """Gives what `steps` holds, one step a call; knows committed offsets and watermarks."""

    def __init__(self, *steps: ConsumeStep) -> None:
        self.steps = list(steps)
        self.offsets: dict[int, TopicPartition] = {}
        self.watermarks = (3, 90)
        self.offsets_by_time: dict[int, int] = {}
        self.time_errors: list[KafkaError] = []
        """Errors of the next answers to `offsets_for_times`, each inside its answer."""
        self.failures: list[KafkaException] = []
        self.watermark_failures: list[KafkaException] = []
        self.seek_failures: list[KafkaException] = []
        self.committed_calls = 0
        self.waited: list[float] = []
        """How long each consume() was allowed to wait."""
        self.assigned: list[TopicPartition] = []
        self.sought: list[tuple[int, int]] = []
        self.paused: list[int] = []
        self.callbacks: dict[str, Any] = {}
        self.closed = False
        self.incremental = False

    def as_client(self) -> Consumer:
        return cast("Consumer", self)

    def commit_offset(self, partition: int, offset: int, metadata: str = "") -> None:
        self.offsets[partition] = TopicPartition(TOPIC, partition, offset, metadata=metadata)

    # What a test lets the group do.

    def assign_partitions(self, *partitions: int) -> None:
        self.callbacks["on_assign"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def revoke_partitions(self, *partitions: int, kind: str = "on_revoke") -> None:
        self.callbacks[kind](self, [TopicPartition(TOPIC, p) for p in partitions])

    # The client's own calls.

    def subscribe(self, _topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def consume(self, count: int, seconds: float) -> Sequence[object]:
        self.waited.append(seconds)
        step = self.steps[0] if self.steps else []
        if step and not callable(step) and self._all_paused:
            return []  # records of paused partitions come later
        self.steps[:1] = []
        given = step(self) if callable(step) else step
        assert len(given) <= count
        return given

    @property
    def _all_paused(self) -> bool:
        assigned = {where.partition for where in self.assigned}
        return bool(assigned) and assigned <= set(self.paused)

    def committed(self, partitions: list[TopicPartition], _seconds: float) -> list[TopicPartition]:
        self.committed_calls += 1
        if self.failures:
            raise self.failures.pop(0)
        nothing = -1001
        return [
            self.offsets.get(p.partition, TopicPartition(p.topic, p.partition, nothing))
            for p in partitions
        ]

    def get_watermark_offsets(self, _where: TopicPartition, _seconds: float) -> tuple[int, int]:
        if self.watermark_failures:
            raise self.watermark_failures.pop(0)
        return self.watermarks

    def offsets_for_times(
        self, times: list[TopicPartition], _seconds: float
    ) -> list[TopicPartition]:
        if self.time_errors:
            return [with_error(t, self.time_errors.pop(0)) for t in times]
        return [
            TopicPartition(t.topic, t.partition, self.offsets_by_time.get(t.offset, -1))
            for t in times
        ]

    def consumer_group_metadata(self) -> bytes:
        return MEMBERSHIP

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = list(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.incremental = True
        self.assigned += partitions

    def assignment(self) -> list[TopicPartition]:
        return self.assigned

    def seek(self, where: TopicPartition) -> None:
        if self.seek_failures:
            raise self.seek_failures.pop(0)
        self.sought.append((where.partition, where.offset))

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused += [where.partition for where in partitions]

    def resume(self, partitions: list[TopicPartition]) -> None:
        gone = {where.partition for where in partitions}
        self.paused = [number for number in self.paused if number not in gone]

    def close(self) -> None:
        self.closed = True


def records(partition: int, *offsets: int) -> list[StoredRecord]:
    """Records of a partition, with nothing of interest in them."""
    return [StoredRecord(b"{}", offset, partition) for offset in offsets]
