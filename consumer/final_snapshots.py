"""Writes the last snapshots before an orderly exit, so that the next start replays no record."""

from collections.abc import Sequence

from sensorwatch.common.errors import MicroBatchAborted, SnapshotNotWritten
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.runtime.logs import logger
from sensorwatch.consumer.commit_step import advance, commit_settlement
from sensorwatch.consumer.publishing.outbox import CommitPlanner
from sensorwatch.consumer.settlement import settle_snapshot
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule
from sensorwatch.consumer.wiring import Clock, Policy, Wiring

MAX_SHARE_OF_STOP_TIME = 0.4
"""Final snapshots take at most this share of the time that is left for the stop. The rest is for
the abort of a transaction that did not succeed, and for leaving the group."""

_log = logger("consumer")


def write_final_snapshots(wiring: Wiring, policy: Policy, clock: Clock, *, seconds: float) -> None:
    """Write a snapshot of every partition with records since its last snapshot.

    Call this function after the loop has ended and before the worker leaves the group. Each
    partition has a transaction of its own, which commits the account and the offset of the last
    commit again, now with the new snapshot. As in every transaction, the broker refuses the commit
    if the worker has lost the partition. If a transaction does not succeed, or if `seconds` have
    passed, the remaining partitions keep their older snapshots, from which a restore replays more
    records. The outbox must be closed afterwards.
    """
    deadline = clock.monotonic() + seconds
    membership = wiring.source.membership()
    accounts = {
        partition: account
        for partition, account in wiring.ownership.ready_accounts.items()
        if SnapshotSchedule.has_records_since_snapshot(account)
        # A different version of the code scored these records, and the new segment is not committed
        # yet.
        and account.fingerprint == policy.ledger_context.fingerprint
    }
    written_count = 0
    for partition, account in accounts.items():

        def publish(plan_commit: CommitPlanner, snapshots: Sequence[Snapshot]) -> None:
            remaining_seconds = deadline - clock.monotonic()
            if remaining_seconds <= 0:
                raise SnapshotNotWritten(f"no time is left after {seconds:.1f} s")
            wiring.outbox.publish_last(
                plan_commit, membership, snapshots=snapshots, seconds=remaining_seconds
            )

        try:
            committed_accounts, snapshots = commit_settlement(
                wiring, policy, settle_snapshot(partition, account), membership, publish
            )
        except (SnapshotNotWritten, MicroBatchAborted) as error:
            _log.warning(
                "not every memory was written before the stop; the next start replays more records",
                partitions=len(accounts) - written_count,
                why=str(error),
            )
            return
        advance(wiring, committed_accounts, snapshots)
        written_count += 1
    if written_count:
        _log.info("memories written before the stop", partitions=written_count)
