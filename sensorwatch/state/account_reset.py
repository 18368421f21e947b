"""A new beginning for a partition whose memory is given up: where, and what is lost by it."""

from collections.abc import Iterator
from dataclasses import dataclass

from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.state.committed_accounts import CommittedAccount
from sensorwatch.state.snapshot_summary import SnapshotSummary

EARLIEST, LATEST = "earliest", "latest"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What every new account begins with."""

    model_version: str
    fingerprint: str
    window_rows: int
    max_sensors: int


@dataclass(frozen=True, slots=True)
class Reset:
    """How a partition's account and memory begin anew."""

    partition: Partition
    committed_account: CommittedAccount | None
    """Where it stands; None: its offset is lost."""
    account: Account
    """The new one."""

    @property
    def ledger_entries(self) -> list[tuple[Partition, Cause, Account]]:
        """What the ledger tells: how the old account ended, if it is known, and the new one."""
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
    """Decide where a partition begins anew; raises UsageError where that cannot be.

    `retained_range`: the first offset that the input still holds, and its end. `to`: "earliest", "latest", an
    offset, or None for where the group stands.
    """
    first, end = retained_range
    if to is None and committed_account is None:
        raise UsageError(
            f"the group has no committed offset for {partition}: say where to begin with --to, or "
            "see `sensorwatch ledger restore`. Nothing was committed"
        )
    committed_offset = 0 if committed_account is None else committed_account.offset
    offset = {EARLIEST: first, LATEST: end, None: committed_offset}.get(to, -1)
    if to is not None and to.isdecimal():
        offset = int(to)
    elif to not in (EARLIEST, LATEST, None):
        raise UsageError(f'--to {to!r}: wanted "earliest", "latest" or an offset')
    if not first <= offset <= end:
        raise UsageError(
            f"{partition} holds offsets {first} to {end - 1}, and not {offset}: say another --to. "
            "Nothing was committed"
        )
    account = open_account(
        offset,
        model_version=account_settings.model_version,
        fingerprint=account_settings.fingerprint,
        window_rows=account_settings.window_rows,
        max_sensors=account_settings.max_sensors,
    )
    return Reset(partition, committed_account, account)


def lost_by_reset(reset: Reset, summary: SnapshotSummary | str | None) -> Iterator[str]:
    """Say what a reset gives up.

    `summary`: what the newest snapshot has, why it cannot be read, or None where there is none.
    """
    offset, committed_account = reset.account.next_offset, reset.committed_account
    yield f"{reset.partition}: a new account and a cold memory from offset {offset} on"
    if committed_account is not None and committed_account.account is None:
        yield f"  the committed offset {committed_account.offset} has no account: it was moved from outside"
    if committed_account is not None and offset > committed_account.offset:
        yield f"  records {committed_account.offset} to {offset - 1} are never scored, if not before"
    if committed_account is not None and offset < committed_account.offset:
        yield (
            f"  records {offset} to {committed_account.offset - 1} are scored again, if they were before: "
            "their events and dead letters come a second time, with the same ids"
        )
    if isinstance(summary, str):
        yield f"  what was remembered cannot be told: {summary}"
    elif summary is None:
        yield "  no memory of it has been written down"
    else:
        yield (
            f"  forgotten, as of offset {summary.next_offset}: {summary.sensors} sensors, which warm up "
            f"again ({summary.warming_up} of them had not done so yet), and {summary.open_episodes} open "
            "episodes, whose end no event tells"
        )
