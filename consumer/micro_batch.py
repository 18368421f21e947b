"""A micro-batch: records that are committed together, cut by the partition they came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import MAX_TIMESTAMP_MS, Partition, Record
from sensorwatch.common.rows.limits import NO_TIME

Timestamp = tuple[int, int]
"""What the client says of a record's time: (type, milliseconds); type 0: there is none."""


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """The records of one partition, in order: what one memory sees of a micro-batch."""

    partition: Partition
    records: list[Record]
    payloads: list[bytes | None]
    """(records,) their values."""
    offsets: NDArray[np.int64]
    """(records,) rising."""
    received: NDArray[np.int64]
    """(records,) their own timestamps in microseconds UTC; NO_TIME where there is none."""


@dataclass(frozen=True, slots=True)
class _PartitionRecords:
    """What has come of one partition, in order."""

    records: list[Record] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    """Milliseconds; NO_TIME where there is none."""

    def partition_batch(self, partition: Partition) -> PartitionBatch:
        milliseconds = np.asarray(self.received, dtype=np.int64)
        known = milliseconds.clip(-MAX_TIMESTAMP_MS, MAX_TIMESTAMP_MS) * 1000
        return PartitionBatch(
            partition,
            self.records,
            self.payloads,
            np.concatenate(self.offsets),
            np.where(milliseconds == NO_TIME, NO_TIME, known),
        )


class BatchBuilder:
    """Records as they come, in columns by partition, with what is asked of each of them.

    Three calls into the client a record, and next to nothing else in Python: at hundreds of
    thousands of rows a second every further one would be felt.
    """

    def __init__(self) -> None:
        self._by_partition: dict[int, _PartitionRecords] = {}

    def __len__(self) -> int:
        return sum(len(collect_batches.records) for collect_batches in self._by_partition.values())

    def extend(self, records: Sequence[Record], timestamps: Sequence[Timestamp]) -> int:
        """Take records with their stamps in; return how many bytes their values have."""
        if not records:
            return 0
        numbers = [record.partition() or 0 for record in records]
        if numbers.count(numbers[0]) == len(numbers):
            return self._extend(numbers[0], records, timestamps)
        size = 0
        for number in dict.fromkeys(numbers):
            rows = [row for row, other in enumerate(numbers) if other == number]
            size += self._extend(
                number, [records[row] for row in rows], [timestamps[row] for row in rows]
            )
        return size

    def drop(self, partitions: Iterable[int]) -> None:
        """Take out the records of these partitions."""
        for number in partitions:
            self._by_partition.pop(number, None)

    def partition_batches(self, topic: str) -> list[PartitionBatch]:
        """Cut the records of this topic by partition, in the partitions' order."""
        found = sorted(self._by_partition.items())
        return [
            collect_batches.partition_batch(Partition(topic, number))
            for number, collect_batches in found
        ]

    def _extend(
        self, number: int, records: Sequence[Record], timestamps: Sequence[Timestamp]
    ) -> int:
        collect_batches = self._by_partition.setdefault(number, _PartitionRecords())
        payloads = [record.value() for record in records]
        collect_batches.records.extend(records)
        collect_batches.payloads.extend(payloads)
        collect_batches.offsets.append(_offsets(records))
        collect_batches.received.extend([time if kind else NO_TIME for kind, time in timestamps])
        return sum([len(payload) for payload in payloads if payload])


def _offsets(records: Sequence[Record]) -> NDArray[np.int64]:
    """Return the offsets of consecutive records of one partition, which rise.

    Where the last is as far from the first as there are records, none is missing in between.
    """
    first, last = records[0].offset() or 0, records[-1].offset() or 0
    if last - first == len(records) - 1:
        return np.arange(first, last + 1, dtype=np.int64)
    return np.asarray([record.offset() for record in records], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Records that are processed and committed together, with the membership to commit under."""

    partition_batches: list[PartitionBatch]
    """By partition, in the partitions' order."""
    membership: bytes
    """The client's group metadata of the time when the last record was taken."""

    @property
    def size(self) -> int:
        """How many records there are."""
        return sum(len(partition_batch.records) for partition_batch in self.partition_batches)


def micro_batch_of(records: Sequence[Record], topic: str) -> MicroBatch:
    """Make a micro-batch of good records of one topic, that nobody commits as a member."""
    builder = BatchBuilder()
    builder.extend(records, [record.timestamp() for record in records])
    return MicroBatch(builder.partition_batches(topic), b"")
