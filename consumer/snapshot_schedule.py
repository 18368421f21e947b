"""When a partition's memory is written down again, and which of its snapshots are kept."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account

KEPT_SNAPSHOTS = 10
"""Newest snapshots of a partition that stay, so that `ledger verify` can start at any of them."""
ROWS_PER_SENSOR = 5
"""So many rows lie between two snapshots for each sensor in them, at least.

Writing a sensor down and sending it takes about as long as scoring a row (100,000 sensors of 3
signals: 28 MB), so this bounds it to a fifth of the work; and what a restore scores again to so
many rows.
"""


class SnapshotSchedule:
    """Says when a snapshot is due: after so many rows, or so many seconds with any row in them."""

    def __init__(
        self, *, every_rows: int, every_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_rows = every_rows
        self._every_seconds = every_seconds
        self._clock = clock
        self._last_snapshots: dict[Partition, tuple[int | None, float]] = {}
        """The newest snapshot's manifest, and since when we know of it."""
        self._manifests: dict[Partition, deque[int]] = {}

    def begin(self, partition: Partition, account: Account) -> None:
        """Count a partition's seconds, from now on or from when we first knew of its snapshot.

        Else rebalances that come often would put the next one off for ever.
        """
        manifest = None if account.snapshot is None else account.snapshot.offset
        if partition not in self._last_snapshots or self._last_snapshots[partition][0] != manifest:
            self._last_snapshots[partition] = manifest, self._clock()
        self._manifests[partition] = deque(maxlen=KEPT_SNAPSHOTS + 1)
        if manifest is not None:
            self._manifests[partition].append(manifest)

    def snapshot_due(self, partition: Partition, account: Account, sensors: int) -> bool:
        """Say whether the account is to be committed with a snapshot of these sensors."""
        snapshot = account.snapshot
        if snapshot is None:  # nothing but a cold memory can be restored without one
            return account.consumed > 0
        rows = account.next_offset - snapshot.next_offset
        if rows >= max(self._every_rows, ROWS_PER_SENSOR * sensors):
            return True
        return (
            rows > 0 and self._clock() - self._last_snapshots[partition][1] >= self._every_seconds
        )

    def snapshot_committed(self, partition: Partition, manifest: int) -> int | None:
        """Note a committed snapshot by the offset of its manifest, the last record of it.

        Return before which offset of the partition's state none of the kept ones begins, if that is
        known yet: of those taken before we came, only the newest is.
        """
        self._last_snapshots[partition] = manifest, self._clock()
        manifests = self._manifests[partition]
        manifests.append(manifest)
        return manifests[0] + 1 if len(manifests) > KEPT_SNAPSHOTS else None

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget what is kept of partitions that are ours no more."""
        for partition in partitions:
            self._manifests.pop(partition, None)
