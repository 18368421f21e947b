"""Decides when a partition's next snapshot is due, and which of its snapshots are kept."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account

KEPT_SNAPSHOTS = 10
"""Number of snapshots that are kept per partition; `ledger verify` can start at any of them."""
ROWS_PER_SENSOR = 5
"""Minimum number of rows between two snapshots, for each sensor in the memory.

Writing one sensor takes about as long as scoring one row (100,000 sensors with 3 signals: 28 MB).
So snapshots take at most a fifth of the work.
"""


class SnapshotSchedule:
    """Decides when snapshots are due: after `every_rows` rows or `every_seconds` with a new row."""

    def __init__(
        self, *, every_rows: int, every_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_rows = every_rows
        self._every_seconds = every_seconds
        self._clock = clock
        self._last_snapshots: dict[Partition, tuple[int | None, float]] = {}
        """By partition: the offset of the newest manifest, and the time when it became known."""
        self._manifests: dict[Partition, deque[int]] = {}
        """By partition: the offsets of the known manifests, oldest first."""

    def begin(self, partition: Partition, account: Account) -> None:
        """Start the interval until the next snapshot of a newly assigned partition.

        If this worker already knows the newest snapshot, the interval continues. Without this rule,
        frequent rebalances would delay the next snapshot forever.
        """
        manifest = None if account.snapshot is None else account.snapshot.offset
        if partition not in self._last_snapshots or self._last_snapshots[partition][0] != manifest:
            self._last_snapshots[partition] = manifest, self._clock()
        self._manifests[partition] = deque(maxlen=KEPT_SNAPSHOTS + 1)
        if manifest is not None:
            self._manifests[partition].append(manifest)

    def snapshot_due(self, partition: Partition, account: Account, sensors: int) -> bool:
        """Return whether to commit an account with a snapshot of `sensors` sensors."""
        snapshot = account.snapshot
        if snapshot is None:  # without a snapshot only a cold memory can be restored
            return account.consumed > 0
        rows = account.next_offset - snapshot.next_offset
        if rows >= max(self._every_rows, ROWS_PER_SENSOR * sensors):
            return True
        return (
            rows > 0 and self._clock() - self._last_snapshots[partition][1] >= self._every_seconds
        )

    def snapshot_committed(self, partition: Partition, manifest: int) -> int | None:
        """Record that a snapshot was committed, whose manifest is at the offset `manifest`.

        Return the offset of the state topic below which no kept snapshot has a record. Return None
        until this worker knows more than KEPT_SNAPSHOTS snapshots. Of the snapshots before the
        assignment it knows only the newest.
        """
        self._last_snapshots[partition] = manifest, self._clock()
        manifests = self._manifests[partition]
        manifests.append(manifest)
        return manifests[0] + 1 if len(manifests) > KEPT_SNAPSHOTS else None

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget the manifests of partitions that are no longer assigned to this worker."""
        for partition in partitions:
            self._manifests.pop(partition, None)
