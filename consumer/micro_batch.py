"""A micro-batch: records that are committed together, cut by the partition they came from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.messaging.records import Partition, Record


@dataclass(frozen=True, slots=True)
class Portion:
    """The records of one partition, in order: what one memory sees of a micro-batch."""

    partition: Partition
    records: list[Record]
    offsets: NDArray[np.int64]
    """(records,) rising."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Records that are processed and committed together, with the membership to commit under."""

    records: list[Record]
    membership: bytes
    """The client's group metadata of the time when the last record was taken."""

    @property
    def portions(self) -> list[Portion]:
        """The records by partition, in the partitions' order."""
        found: dict[tuple[str | None, int | None], list[Record]] = {}
        for record in self.records:
            found.setdefault((record.topic(), record.partition()), []).append(record)
        portions = [
            Portion(
                Partition(str(topic), int(number or 0)),
                records,
                np.asarray([record.offset() for record in records], dtype=np.int64),
            )
            for (topic, number), records in found.items()
        ]
        return sorted(portions, key=lambda portion: portion.partition)
