"""Plan the reset of a partition to a cold memory and a new account."""

from collections.abc import Iterator
from dataclasses import dataclass

from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.committed_accounts import CommittedAccount
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.state.snapshot_summary import SnapshotSummary

EARLIEST, LATEST = "earliest", "latest"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The settings and versions that are written into every new account."""

    model_version: str
    fingerprint: str
    window_rows: int
    max_sensors: int
    silence_rule: SilenceRule


@dataclass(frozen=True, slots=True)
class Reset:
    """The planned reset of a partition."""

    partition: Partition
    committed_account: CommittedAccount | None
    """The committed offset and account before the reset; None if the offset is lost."""
    account: Account
    """The new account."""

    @property
    def ledger_entries(self) -> list[tuple[Partition, Cause, Account]]:
        """Return the ledger records to write.

        The old account, if it is known, is recorded as closed; then the new account is recorded as
        opened.
        """
        old_account = None if self.committed_account is None else self.committed_account.account
        opened_entry = [(self.partition, Cause.OPENED, self.account)]
        return (
            opened_entry
            if old_account is None
            else [(self.partition, Cause.CLOSED, old_account), *opened_entry]
        )


def plan_reset(
    partition: Partition,
    committed_account: CommittedAccount | None,
    retained_range: tuple[int, int],
    to: str | None,
    account_settings: AccountSettings,
) -> Reset:
    """Return the planned reset of a partition, with its new account.

    `retained_range`: the first offset of the partition that is not deleted, and its end offset.
    `to`: "earliest", "latest", an offset, or None for the committed offset. Raises UsageError if
    `to` has another form, or if the offset is not in the retained range.
    """
    first_offset, end_offset = retained_range
    if to is None and committed_account is None:
        raise UsageError(
            f"the group has no committed offset for {partition}. Nothing was committed. Give an "
            "offset with --to, or restore it with `sensorwatch ledger restore`"
        )
    committed_offset = 0 if committed_account is None else committed_account.offset
    offset = {EARLIEST: first_offset, LATEST: end_offset, None: committed_offset}.get(to, -1)
    if to is not None and to.isdecimal():
        offset = int(to)
    elif to not in (EARLIEST, LATEST, None):
        raise UsageError(f'--to {to!r}: wanted "earliest", "latest" or an offset')
    if not first_offset <= offset <= end_offset:
        raise UsageError(
            f"{partition} has offsets {first_offset} to {end_offset - 1}, but not {offset}. "
            "Nothing was committed. Change --to"
        )
    account = open_account(
        offset,
        model_version=account_settings.model_version,
        fingerprint=account_settings.fingerprint,
        window_rows=account_settings.window_rows,
        max_sensors=account_settings.max_sensors,
        silence_rule=account_settings.silence_rule,
    )
    return Reset(partition, committed_account, account)


def lost_by_reset(reset: Reset, summary: SnapshotSummary | str | None) -> Iterator[str]:
    """Yield lines that describe what is lost by a reset.

    `summary`: the summary of the newest snapshot, or the reason why the snapshot cannot be read, or
    None if there is no snapshot.
    """
    offset = reset.account.next_offset
    yield f"{reset.partition}: a new account and a cold memory from offset {offset} on"
    if reset.committed_account is not None:
        yield from _lost_records(offset, reset.committed_account)
    yield _lost_memory(summary)


def _lost_records(offset: int, committed: CommittedAccount) -> Iterator[str]:
    if committed.is_outdated:
        yield (
            f"  an older sensorwatch committed the account at offset {committed.offset}: its "
            "counts are not continued, and its records cannot be verified any more"
        )
    elif committed.account is None:
        yield f"  the committed offset {committed.offset} has no account: it was moved by hand"
    if offset > committed.offset:
        skipped_records = f"records {committed.offset} to {offset - 1}"
        yield f"  {skipped_records} are never scored, unless they were scored before"
    if offset < committed.offset:
        yield (
            f"  records {offset} to {committed.offset - 1} are scored again, if they were scored "
            "before: their events and dead letters are published a second time, with the same ids"
        )


def _lost_memory(summary: SnapshotSummary | str | None) -> str:
    if isinstance(summary, str):
        return f"  the lost memory cannot be read: {summary}"
    if summary is None:
        return "  the partition has no snapshot of its memory"
    return (
        f"  lost memory, as of offset {summary.next_offset}: {summary.sensors} sensors, which "
        f"warm up again ({summary.warming_up} of them were still warming up), and "
        f"{summary.open_episodes} open episodes, for which no closing event is published"
    )
