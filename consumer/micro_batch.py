"""A micro-batch: records that are committed together, cut by the partition they came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import FARTHEST_MS, Partition, Record
from sensorwatch.common.rows.limits import NO_TIME

Stamp = tuple[int, int]
"""What the client says of a record's time: (type, milliseconds); type 0: there is none."""


@dataclass(frozen=True, slots=True)
class Portion:
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
class _Share:
    """What has come of one partition, in order."""

    records: list[Record] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    """Milliseconds; NO_TIME where there is none."""

    def portion(self, partition: Partition) -> Portion:
        milliseconds = np.asarray(self.received, dtype=np.int64)
        known = milliseconds.clip(-FARTHEST_MS, FARTHEST_MS) * 1000
        return Portion(
            partition,
            self.records,
            self.payloads,
            np.concatenate(self.offsets),
            np.where(milliseconds == NO_TIME, NO_TIME, known),
        )


class Columns:
    """Records as they come, in columns by partition, with what is asked of each of them.

    Three calls into the client a record, and next to nothing else in Python: at hundreds of
    thousands of rows a second every further one would be felt.
    """

    def __init__(self) -> None:
        self._shares: dict[int, _Share] = {}

    def __len__(self) -> int:
        return sum(len(share.records) for share in self._shares.values())

    def extend(self, records: Sequence[Record], stamps: Sequence[Stamp]) -> int:
        """Take records with their stamps in; return how many bytes their values have."""
        if not records:
            return 0
        numbers = [record.partition() or 0 for record in records]
        if numbers.count(numbers[0]) == len(numbers):
            return self._extend(numbers[0], records, stamps)
        size = 0
        for number in dict.fromkeys(numbers):
            rows = [row for row, other in enumerate(numbers) if other == number]
            size += self._extend(
                number, [records[row] for row in rows], [stamps[row] for row in rows]
            )
        return size

    def drop(self, partitions: Iterable[int]) -> None:
        """Take out the records of these partitions."""
        for number in partitions:
            self._shares.pop(number, None)

    def portions(self, topic: str) -> list[Portion]:
        """Cut the records of this topic by partition, in the partitions' order."""
        found = sorted(self._shares.items())
        return [share.portion(Partition(topic, number)) for number, share in found]

    def _extend(self, number: int, records: Sequence[Record], stamps: Sequence[Stamp]) -> int:
        share = self._shares.setdefault(number, _Share())
        payloads = [record.value() for record in records]
        share.records.extend(records)
        share.payloads.extend(payloads)
        share.offsets.append(_offsets(records))
        share.received.extend([time if kind else NO_TIME for kind, time in stamps])
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

    portions: list[Portion]
    """By partition, in the partitions' order."""
    membership: bytes
    """The client's group metadata of the time when the last record was taken."""

    @property
    def size(self) -> int:
        """How many records there are."""
        return sum(len(portion.records) for portion in self.portions)


def micro_batch_of(records: Sequence[Record], topic: str) -> MicroBatch:
    """Make a micro-batch of good records of one topic, that nobody commits as a member."""
    columns = Columns()
    columns.extend(records, [record.timestamp() for record in records])
    return MicroBatch(columns.portions(topic), b"")
