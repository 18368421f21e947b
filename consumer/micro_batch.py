"""A micro-batch: the records that are processed and committed together, by partition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import MAX_TIMESTAMP_MS, Partition, Record
from sensorwatch.common.rows.limits import NO_TIME

Timestamp = tuple[int, int]
"""A record's timestamp as the client returns it: (type, milliseconds). Type 0: no timestamp."""


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """The n records of one partition in a micro-batch, in offset order."""

    partition: Partition
    records: list[Record]
    payloads: list[bytes | None]
    """The values of the records."""
    offsets: NDArray[np.int64]
    """Shape (n,). Offset of each record, strictly increasing."""
    received: NDArray[np.int64]
    """Shape (n,). Timestamp of each record, in microseconds UTC; NO_TIME if it has none."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Records that are processed and committed together."""

    partition_batches: list[PartitionBatch]
    """One partition batch per partition, in ascending order of the partition numbers."""
    membership: bytes
    """The client's group metadata right after the last record was consumed."""

    @property
    def size(self) -> int:
        """Number of records."""
        return sum(len(partition_batch.records) for partition_batch in self.partition_batches)


@dataclass(frozen=True, slots=True)
class _PartitionRecords:
    """The collected records of one partition, in order."""

    records: list[Record] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    """The offsets, as one array for each call of `extend`."""
    received: list[int] = field(default_factory=list)
    """Timestamps in milliseconds; NO_TIME for a record without a timestamp."""

    def partition_batch(self, partition: Partition) -> PartitionBatch:
        milliseconds = np.asarray(self.received, dtype=np.int64)
        microseconds = milliseconds.clip(-MAX_TIMESTAMP_MS, MAX_TIMESTAMP_MS) * 1000
        return PartitionBatch(
            partition,
            self.records,
            self.payloads,
            np.concatenate(self.offsets),
            np.where(milliseconds == NO_TIME, NO_TIME, microseconds),
        )


class BatchBuilder:
    """Collects the records of a micro-batch, in columns for each partition.

    The builder makes only three calls into the client for each record, because every further call
    costs noticeable time at hundreds of thousands of rows per second.
    """

    def __init__(self) -> None:
        self._by_partition: dict[int, _PartitionRecords] = {}

    def __len__(self) -> int:
        return sum(
            len(partition_records.records) for partition_records in self._by_partition.values()
        )

    def extend(self, records: Sequence[Record], timestamps: Sequence[Timestamp]) -> int:
        """Add records with their timestamps; return the total size of their values in bytes."""
        if not records:
            return 0
        partition_numbers = [record.partition() or 0 for record in records]
        if partition_numbers.count(partition_numbers[0]) == len(partition_numbers):
            return self._extend(partition_numbers[0], records, timestamps)
        size = 0
        for partition_number in dict.fromkeys(partition_numbers):
            positions = [
                position
                for position, number in enumerate(partition_numbers)
                if number == partition_number
            ]
            size += self._extend(
                partition_number,
                [records[position] for position in positions],
                [timestamps[position] for position in positions],
            )
        return size

    def drop(self, partition_numbers: Iterable[int]) -> None:
        """Remove the records of the partitions with these numbers."""
        for partition_number in partition_numbers:
            self._by_partition.pop(partition_number, None)

    def partition_batches(self, topic: str) -> list[PartitionBatch]:
        """Return one partition batch per partition of this topic, in ascending order."""
        return [
            partition_records.partition_batch(Partition(topic, partition_number))
            for partition_number, partition_records in sorted(self._by_partition.items())
        ]

    def _extend(
        self, partition_number: int, records: Sequence[Record], timestamps: Sequence[Timestamp]
    ) -> int:
        partition_records = self._by_partition.setdefault(partition_number, _PartitionRecords())
        payloads = [record.value() for record in records]
        partition_records.records.extend(records)
        partition_records.payloads.extend(payloads)
        partition_records.offsets.append(_offsets(records))
        partition_records.received.extend(
            [time if timestamp_type else NO_TIME for timestamp_type, time in timestamps]
        )
        return sum([len(payload) for payload in payloads if payload])


def _offsets(records: Sequence[Record]) -> NDArray[np.int64]:
    """Return the offsets of consecutive records of one partition.

    If the first and the last offset show that there is no gap, no other offset is read.
    """
    first_offset, last_offset = records[0].offset() or 0, records[-1].offset() or 0
    if last_offset - first_offset == len(records) - 1:
        return np.arange(first_offset, last_offset + 1, dtype=np.int64)
    return np.asarray([record.offset() for record in records], dtype=np.int64)
