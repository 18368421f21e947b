"""Commits a settlement with its snapshots, and advances accounts and memories after the commit."""

from collections.abc import Callable, Mapping, Sequence

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account
from sensorwatch.consumer.publishing.membership import require_member
from sensorwatch.consumer.publishing.outbox import CommitPlan, CommitPlanner
from sensorwatch.consumer.settlement import (
    Settlement,
    commit_plan,
    snapshots_of,
    with_snapshot_offsets,
)
from sensorwatch.consumer.wiring import Policy, Wiring

Publish = Callable[[CommitPlanner, Sequence[Snapshot]], None]
"""Publishes snapshots and a commit plan in one transaction."""


def commit_settlement(
    wiring: Wiring, policy: Policy, settlement: Settlement, membership: bytes, publish: Publish
) -> tuple[dict[Partition, Account], list[Snapshot]]:
    """Commit one transaction; return the committed accounts and snapshots.

    `membership`: the client's group metadata at the last poll, for the same partitions. Raises
    MicroBatchAborted if the client is no longer a member of the group, and any error of `publish`.
    """
    require_member(membership)
    memories, ledger_context = wiring.ownership.memories, policy.ledger_context
    snapshots = snapshots_of(settlement, memories, ledger_context)
    accounts = settlement.accounts

    def plan_commit(manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
        nonlocal accounts
        accounts = with_snapshot_offsets(settlement.accounts, manifest_offsets)
        memories.expect_commit(accounts)
        return commit_plan(settlement, manifest_offsets, ledger_context)

    publish(plan_commit, snapshots)
    return accounts, snapshots


def advance(
    wiring: Wiring, accounts: Mapping[Partition, Account], snapshots: Sequence[Snapshot]
) -> None:
    """Advance accounts and memories after a commit, and delete old snapshots."""
    ownership = wiring.ownership
    memories = {partition: ownership.memories[partition] for partition in accounts}
    wiring.observation.show_commit(memories, snapshots, wiring.detector)
    for partition, offset in ownership.advance(accounts).items():
        wiring.snapshot_deleter.delete_before(partition.number, offset)
