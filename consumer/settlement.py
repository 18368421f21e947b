"""What a micro-batch commits: accounts moved on, next offsets, ledger records; no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import (
    Account,
    advance_account,
    counted_rejections,
    start_segment,
)
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.consumer.micro_batch import PartitionBatch


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An account that becomes a record of the ledger topic."""

    partition: Partition
    cause: Cause
    account: Account


@dataclass(frozen=True, slots=True)
class Settlement:
    """The accounts as they are to be committed together, and what the ledger tells of them."""

    accounts: dict[Partition, Account]
    ledger_entries: list[LedgerEntry] = field(default_factory=list)
    """Each with a snapshot of its partition, apart from those that are only opened."""
    rejected: dict[Partition, NDArray[np.bool_]] = field(default_factory=dict)
    """Of each partition's records in the micro-batch, which count for the breaker."""


def settle_batch(
    current_accounts: Mapping[Partition, Account],
    outcomes: Sequence[tuple[PartitionBatch, Outcome]],
    *,
    model_version: str,
    accept_rejections_until: Mapping[Partition, int],
    snapshot_due: Callable[[Partition, Account], bool],
) -> Settlement:
    """Move the accounts on by one micro-batch.

    `snapshot_due`: whether a partition's memory is to be written down at this account; those without a
    record in the micro-batch are asked too.
    """
    accounts: dict[Partition, Account] = {}
    rejected: dict[Partition, NDArray[np.bool_]] = {}
    for partition_batch, outcome in outcomes:
        partition, kinds = partition_batch.partition, outcome.kinds
        accepted_until = accept_rejections_until.get(partition, 0)
        rejected[partition] = counted_rejections(partition_batch.offsets, kinds, accepted_until)
        accounts[partition] = advance_account(
            current_accounts[partition],
            offsets=partition_batch.offsets,
            kinds=kinds,
            reasons=outcome.reasons,
            score_bits=outcome.score_bits,
            model_version=model_version,
            accept_rejections_until=accepted_until,
        )
    ledger_entries = []
    for partition in sorted(current_accounts):
        account = accounts.get(partition, current_accounts[partition])
        if snapshot_due(partition, account):
            accounts[partition] = account
            ledger_entries.append(LedgerEntry(partition, Cause.INTERVAL, account))
    return Settlement(accounts, ledger_entries, rejected)


def settle_account_changes(
    current_accounts: Mapping[Partition, Account],
    unopened: frozenset[Partition],
    fingerprint: str,
    *,
    model_version: str,
    max_sensors: int,
) -> Settlement:
    """Move no account on, but say in each by what its next records will be scored.

    Its ledger record tells the account as it was until here, by which what went before is proven.
    """
    accounts: dict[Partition, Account] = {}
    ledger_entries = []
    for partition, before in sorted(current_accounts.items()):
        account = replace(before, model_version=model_version, max_sensors=max_sensors)
        if partition in unopened:
            ledger_entries.append(LedgerEntry(partition, Cause.OPENED, account))
        elif before.model_version != model_version:
            ledger_entries.append(LedgerEntry(partition, Cause.MODEL, before))
        elif before.max_sensors != max_sensors:
            ledger_entries.append(LedgerEntry(partition, Cause.INTERVAL, before))
        if before.fingerprint != fingerprint:
            ledger_entries.append(LedgerEntry(partition, Cause.SEGMENT, account))
            account = start_segment(account, fingerprint=fingerprint)
        if account != before or partition in unopened:
            accounts[partition] = account
    return Settlement(accounts, ledger_entries)
