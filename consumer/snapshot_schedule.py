"""Decides when a partition's next snapshot is due, and which of its snapshots are kept."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account

KEPT_SNAPSHOTS = 10
"""Number of snapshots that are kept per partition; `ledger verify` can start at any of these
snapshots."""
ROWS_PER_SENSOR = 5
"""Minimum number of rows between two snapshots, for each sensor in the memory.

Writing one sensor takes about as long as scoring one row, so snapshots take at most a fifth of the
time for scoring. A snapshot of 100,000 sensors with 3 signals has 28 MB.
"""


class SnapshotSchedule:
    """A snapshot is due after `every_rows` rows, or after `every_seconds` if there are new rows."""

    def __init__(
        self, *, every_rows: int, every_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_rows = every_rows
        self._every_seconds = every_seconds
        self._clock = clock
        self._last_snapshots: dict[Partition, tuple[int | None, float]] = {}
        """By partition: offset of the newest manifest, and time when this worker learned of it."""
        self._manifest_offsets: dict[Partition, deque[int]] = {}
        """By partition: the offsets of the known manifests, oldest first."""

    def begin(self, partition: Partition, account: Account) -> None:
        """Start the interval until the next snapshot of a newly assigned partition.

        If this worker already knows the newest snapshot, the interval continues. Without this rule,
        frequent rebalances would delay the next snapshot forever.
        """
        manifest_offset = None if account.snapshot is None else account.snapshot.offset
        if (
            partition not in self._last_snapshots
            or self._last_snapshots[partition][0] != manifest_offset
        ):
            self._last_snapshots[partition] = manifest_offset, self._clock()
        self._manifest_offsets[partition] = deque(maxlen=KEPT_SNAPSHOTS + 1)
        if manifest_offset is not None:
            self._manifest_offsets[partition].append(manifest_offset)

    def snapshot_due(self, partition: Partition, account: Account, sensors: int) -> bool:
        """Return whether a snapshot is due for an account whose memory has `sensors` sensors."""
        snapshot = account.snapshot
        if snapshot is None:  # a memory with records cannot be restored without a snapshot
            return account.consumed > 0
        rows = account.next_offset - snapshot.next_offset
        if rows >= max(self._every_rows, ROWS_PER_SENSOR * sensors):
            return True
        return (
            rows > 0 and self._clock() - self._last_snapshots[partition][1] >= self._every_seconds
        )

    @staticmethod
    def has_records_since_snapshot(account: Account) -> bool:
        """Return whether a restore of the account's memory would have to replay any record."""
        snapshot = account.snapshot
        return account.consumed > 0 and (
            snapshot is None or account.next_offset > snapshot.next_offset
        )

    def snapshot_committed(self, partition: Partition, manifest_offset: int) -> int | None:
        """Record a committed snapshot, and return the offset below which records can be deleted.

        `manifest_offset` is the offset of the snapshot's manifest in the state topic. In this
        topic, all records of the kept snapshots are at or after the returned offset. Return None
        until this worker knows more than KEPT_SNAPSHOTS snapshots. The worker knows only the newest
        of the snapshots that were written before the assignment.
        """
        self._last_snapshots[partition] = manifest_offset, self._clock()
        manifest_offsets = self._manifest_offsets[partition]
        manifest_offsets.append(manifest_offset)
        return manifest_offsets[0] + 1 if len(manifest_offsets) > KEPT_SNAPSHOTS else None

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget the manifests of partitions that are no longer assigned to this worker."""
        for partition in partitions:
            self._manifest_offsets.pop(partition, None)
