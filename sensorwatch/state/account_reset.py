"""A new beginning for a partition whose memory is given up: where, and what is lost by it."""

from collections.abc import Iterator
from dataclasses import dataclass

from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.state.committed_accounts import Standing
from sensorwatch.state.snapshot_summary import Inventory

EARLIEST, LATEST = "earliest", "latest"


@dataclass(frozen=True, slots=True)
class Terms:
    """What every new account begins with."""

    model_version: str
    fingerprint: str
    window_rows: int
    max_sensors: int


@dataclass(frozen=True, slots=True)
class Reset:
    """How a partition's account and memory begin anew."""

    partition: Partition
    standing: Standing | None
    """Where it stands; None: its offset is lost."""
    account: Account
    """The new one."""

    @property
    def ledger_entries(self) -> list[tuple[Partition, Cause, Account]]:
        """What the ledger tells: how the old account ended, if it is known, and the new one."""
        old = None if self.standing is None else self.standing.account
        opened = [(self.partition, Cause.OPENED, self.account)]
        return opened if old is None else [(self.partition, Cause.CLOSED, old), *opened]


def reset_of(
    partition: Partition,
    standing: Standing | None,
    kept: tuple[int, int],
    to: str | None,
    terms: Terms,
) -> Reset:
    """Decide where a partition begins anew; raises UsageError where that cannot be.

    `kept`: the first offset that the input still holds, and its end. `to`: "earliest", "latest", an
    offset, or None for where the group stands.
    """
    first, end = kept
    if to is None and standing is None:
        raise UsageError(
            f"the group has no committed offset for {partition}: say where to begin with --to, or "
            "see `sensorwatch ledger restore`. Nothing was committed"
        )
    stands = 0 if standing is None else standing.offset
    offset = {EARLIEST: first, LATEST: end, None: stands}.get(to, -1)
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
        model_version=terms.model_version,
        fingerprint=terms.fingerprint,
        window_rows=terms.window_rows,
        max_sensors=terms.max_sensors,
    )
    return Reset(partition, standing, account)


def lost(reset: Reset, held: Inventory | str | None) -> Iterator[str]:
    """Say what a reset gives up.

    `held`: what the newest snapshot has, why it cannot be read, or None where there is none.
    """
    offset, standing = reset.account.next_offset, reset.standing
    yield f"{reset.partition}: a new account and a cold memory from offset {offset} on"
    if standing is not None and standing.account is None:
        yield f"  the committed offset {standing.offset} has no account: it was moved from outside"
    if standing is not None and offset > standing.offset:
        yield f"  records {standing.offset} to {offset - 1} are never scored, if not before"
    if standing is not None and offset < standing.offset:
        yield (
            f"  records {offset} to {standing.offset - 1} are scored again, if they were before: "
            "their events and dead letters come a second time, with the same ids"
        )
    if isinstance(held, str):
        yield f"  what was remembered cannot be told: {held}"
    elif held is None:
        yield "  no memory of it has been written down"
    else:
        yield (
            f"  forgotten, as of offset {held.next_offset}: {held.sensors} sensors, which warm up "
            f"again ({held.warming_up} of them had not done so yet), and {held.open_episodes} open "
            "episodes, whose end no event tells"
        )
