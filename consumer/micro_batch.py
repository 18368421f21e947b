"""A micro-batch: records that are committed together, cut by the partition they came from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.messaging.records import FARTHEST_MS, Partition, Record
from common.rows.json_rows import NO_TIME

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


@dataclass(slots=True)
class Columns:
    """Records in the order they came, with what is asked of each of them: once, as it comes.

    Four calls into the client a record, and nothing else in Python: at a million rows a second
    every further one would be felt.
    """

    records: list[Record] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def extend(self, records: Sequence[Record], stamps: Sequence[Stamp]) -> int:
        """Take records with their stamps in; return how many bytes their values have."""
        payloads = [record.value() for record in records]
        self.records += records
        self.payloads += payloads
        self.partitions += [record.partition() or 0 for record in records]
        self.offsets += [record.offset() or 0 for record in records]
        self.stamps += stamps
        return sum([len(payload) for payload in payloads if payload])

    def drop(self, partitions: Collection[int]) -> None:
        """Take out the records of these partitions."""
        kept = [row for row, number in enumerate(self.partitions) if number not in partitions]
        for column in self._columns():
            column[:] = [column[row] for row in kept]

    def portions(self, topic: str) -> list[Portion]:
        """Cut the records of this topic by partition, in the partitions' order."""
        numbers = np.asarray(self.partitions, dtype=np.int64)
        return [
            self._portion(Partition(topic, int(number)), np.flatnonzero(numbers == number))
            for number in np.unique(numbers)
        ]

    def _portion(self, partition: Partition, rows: NDArray[np.int64]) -> Portion:
        columns = self._columns()
        if len(rows) < len(self):
            chosen = rows.tolist()
            columns = [[column[row] for row in chosen] for column in columns]
        records, payloads, _, offsets, stamps = columns
        kind, milliseconds = (
            np.asarray(part, dtype=np.int64) for part in zip(*stamps, strict=True)
        )
        return Portion(
            partition,
            records,
            payloads,
            np.asarray(offsets, dtype=np.int64),
            np.where(kind == 0, NO_TIME, milliseconds.clip(-FARTHEST_MS, FARTHEST_MS) * 1000),
        )

    def _columns(self) -> list[list[Any]]:
        return [self.records, self.payloads, self.partitions, self.offsets, self.stamps]


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
