"""Computes what a commit contains: new accounts, ledger records, snapshots and next offsets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import (
    Account,
    SnapshotRef,
    advance_account,
    counted_rejections,
    start_segment,
)
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.micro_batch import PartitionBatch
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """The constants of a worker from which accounts, ledger records and snapshots are made."""

    group: str
    topic: str
    """The ledger topic."""
    partitions: int
    """Number of input partitions."""
    fingerprint: str
    """Fingerprint of this process; see common/runtime/fingerprint.py."""
    accept_rejections_until: Mapping[Partition, int]
    """Offsets below which rejections do not count for the breaker."""
    max_sensors: int = MAX_SENSORS
    """Maximum number of sensors in the memory of a partition."""
    silence_rule: SilenceRule = NO_SILENCE_CHECK
    """The rule of silent sensors."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An account that is written to the ledger, and the cause of the entry."""

    partition: Partition
    cause: Cause
    account: Account


@dataclass(frozen=True, slots=True)
class Settlement:
    """New accounts that are committed together, and their ledger entries."""

    accounts: dict[Partition, Account]
    ledger_entries: list[LedgerEntry] = field(default_factory=list)
    """Each entry except those with Cause.OPENED is committed with a snapshot of its partition."""
    rejection_masks: dict[Partition, NDArray[np.bool_]] = field(default_factory=dict)
    """By partition: an array of shape (judged records,), see `Account.judged`. True for each
    rejection that counts for the breaker."""


def settle_batch(
    current_accounts: Mapping[Partition, Account],
    outcomes: Sequence[tuple[PartitionBatch, Outcome]],
    *,
    model_version: str,
    accept_rejections_until: Mapping[Partition, int],
    snapshot_due: Callable[[Partition, Account], bool],
) -> Settlement:
    """Return the accounts after one micro-batch.

    `snapshot_due` returns whether an account is to be committed with a snapshot. The function is
    also called for partitions without a record in the micro-batch.
    """
    accounts: dict[Partition, Account] = {}
    rejection_masks: dict[Partition, NDArray[np.bool_]] = {}
    for partition_batch, outcome in outcomes:
        partition, kinds, reasons = partition_batch.partition, outcome.kinds, outcome.reasons
        accepted_until = accept_rejections_until.get(partition, 0)
        rejection_masks[partition] = counted_rejections(
            partition_batch.offsets, kinds, reasons, accepted_until
        )
        accounts[partition] = advance_account(
            current_accounts[partition],
            offsets=partition_batch.offsets,
            kinds=kinds,
            reasons=reasons,
            score_bits=outcome.score_bits,
            model_version=model_version,
            rows=outcome.rows,
            accept_rejections_until=accepted_until,
        )
    ledger_entries = []
    for partition in sorted(current_accounts):
        account = accounts.get(partition, current_accounts[partition])
        if snapshot_due(partition, account):
            accounts[partition] = account
            ledger_entries.append(LedgerEntry(partition, Cause.INTERVAL, account))
    return Settlement(accounts, ledger_entries, rejection_masks)


def settle_snapshot(partition: Partition, account: Account) -> Settlement:
    """Return the settlement that commits an unchanged account again, with a snapshot."""
    return Settlement({partition: account}, [LedgerEntry(partition, Cause.INTERVAL, account)])


def settle_account_changes(
    current_accounts: Mapping[Partition, Account],
    unopened_partitions: frozenset[Partition],
    fingerprint: str,
    *,
    model_version: str,
    max_sensors: int,
    silence_rule: SilenceRule = NO_SILENCE_CHECK,
    policy: str = "",
) -> Settlement:
    """Return the accounts that are new, or whose version, policy, settings or fingerprint changes.

    The settings are `max_sensors` and the rule of silent sensors. Offsets and counts stay the same.
    A ledger entry has the digest from before the change, so that the records before the change can
    be verified. The accounts of `unopened_partitions` are always included.
    """
    accounts: dict[Partition, Account] = {}
    ledger_entries = []
    for partition, current_account in sorted(current_accounts.items()):
        account_with_settings = replace(
            current_account, max_sensors=max_sensors, silence_rule=silence_rule
        )
        account = replace(account_with_settings, model_version=model_version, policy=policy)
        if partition in unopened_partitions:
            ledger_entries.append(LedgerEntry(partition, Cause.OPENED, account))
        elif current_account.model_version != model_version:
            ledger_entries.append(LedgerEntry(partition, Cause.MODEL, current_account))
        elif current_account.policy != policy:
            ledger_entries.append(LedgerEntry(partition, Cause.POLICY, current_account))
        elif current_account != account_with_settings:
            ledger_entries.append(LedgerEntry(partition, Cause.INTERVAL, current_account))
        if current_account.fingerprint != fingerprint:
            ledger_entries.append(LedgerEntry(partition, Cause.SEGMENT, account))
            account = start_segment(account, fingerprint=fingerprint)
        if account != current_account or partition in unopened_partitions:
            accounts[partition] = account
    return Settlement(accounts, ledger_entries)


def snapshots_of(
    settlement: Settlement, memories: Memories, ledger_context: LedgerContext
) -> list[Snapshot]:
    """Return a snapshot for every partition that has a ledger entry.

    A partition whose only entry has Cause.OPENED gets no snapshot, because its memory is cold.
    """
    snapshot_partitions = {
        entry.partition for entry in settlement.ledger_entries if entry.cause is not Cause.OPENED
    }
    return [
        Snapshot(
            group=ledger_context.group,
            source=partition,
            partitions=ledger_context.partitions,
            next_offset=account.next_offset,
            model_version=account.model_version,
            account=account,
            content=memory_to_bytes(memories[partition]),
        )
        for partition, account in settlement.accounts.items()
        if partition in snapshot_partitions
    ]


def with_snapshot_offsets(
    accounts: Mapping[Partition, Account], manifest_offsets: Mapping[Partition, int]
) -> dict[Partition, Account]:
    """Return the accounts, each with a reference to its new snapshot if there is one.

    `manifest_offsets`: the offset of each new snapshot's manifest, by partition.
    """
    return {
        partition: _with_snapshot_offset(account, manifest_offsets.get(partition))
        for partition, account in accounts.items()
    }


def commit_plan(
    settlement: Settlement, manifest_offsets: Mapping[Partition, int], ledger_context: LedgerContext
) -> CommitPlan:
    """Return the ledger records and the next offsets of a settlement.

    `manifest_offsets`: the offset of each new snapshot's manifest, by partition.
    """
    messages = [
        ledger_message(
            ledger_context.topic,
            ledger_context.group,
            entry.partition,
            _with_snapshot_offset(entry.account, manifest_offsets.get(entry.partition)),
            entry.cause,
        )
        for entry in settlement.ledger_entries
    ]
    commits = [
        Commit(partition, account.next_offset, to_metadata(account))
        for partition, account in with_snapshot_offsets(
            settlement.accounts, manifest_offsets
        ).items()
    ]
    return CommitPlan(messages, commits)


def _with_snapshot_offset(account: Account, manifest_offset: int | None) -> Account:
    if manifest_offset is None:
        return account
    return replace(account, snapshot=SnapshotRef(manifest_offset, account.next_offset))
