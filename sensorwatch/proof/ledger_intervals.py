"""What of a ledger is to be proven, stretch by stretch, and what may come of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, start_segment

COUNTS = ("consumed", "normal", "anomalies", "dead_letters")


class Verdict(StrEnum):
    """What came of scoring a stretch again."""

    PROVEN = "proven"
    """Same counts, same digest, same memory: every record had this outcome and these bits."""
    COUNTS_ONLY = "counts only"
    """Same counts, but written by other code, libraries or CPU kind: no digest to compare."""
    DIFFERENT = "DIFFERENT"
    """Counts, digest or memory differ: something was lost, doubled or scored differently."""
    NOT_RETAINED = "input not retained"
    """The topic no longer holds all of the input, or of that which the memory came from."""
    ACCOUNT_RESTARTED = "ACCOUNT BEGUN ANEW"
    """Somebody moved the group's offset: what lies between the two accounts is not proven."""
    NO_MODEL = "model not there"
    """The registry no longer holds the version that scored it, or refuses it."""


@dataclass(frozen=True, slots=True)
class LedgerInterval:
    """The input of one partition between two accounts, scored by one version."""

    partition: Partition
    begin: Account
    end: Account
    unused_versions: tuple[str, ...] = ()
    """Versions that came into force and went again right before it, without scoring a record."""

    @property
    def version(self) -> str:
        """The version that scored it."""
        return self.end.model_version

    @property
    def records(self) -> int:
        """How many records its two accounts enclose; none where the second begins anew."""
        return max(0, self.end.consumed - self.begin.consumed)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on a stretch."""

    interval: LedgerInterval
    verdict: Verdict
    detail: str = ""


def split_ledger(
    records: Sequence[LedgerRecord], committed: Account | None
) -> list[LedgerInterval]:
    """Cut a partition's ledger into stretches of one model version and one digest segment each.

    `records`: of one partition, in order. `committed`: the account in its committed offset.
    """
    account_points = [(record.cause, record.account) for record in records]
    if account_points and committed is not None:
        account_points.append((Cause.INTERVAL, committed))
    results = []
    unused_versions: list[str] = []
    for (_, begin), (cause, end) in pairwise(account_points):
        if cause is Cause.OPENED or end.next_offset == begin.next_offset:
            unused_versions = [] if cause is Cause.OPENED else [*unused_versions, end.model_version]
            continue
        if end.segment != begin.segment:
            begin = start_segment(begin, fingerprint=end.fingerprint)  # noqa: PLW2901 - same place, new digest
        results.append(LedgerInterval(records[0].source, begin, end, tuple(unused_versions)))
        unused_versions = []
    return results


def restarted_accounts(records: Sequence[LedgerRecord]) -> list[Finding]:
    """Name each place where a partition's account was begun a second time, and what that means.

    `records`: of one partition, in order.
    """
    results = []
    for before, after in pairwise(records):
        old, new = before.account.next_offset, after.account.next_offset
        if after.cause is not Cause.OPENED or old == new:
            continue
        consequence = (
            f"offsets {new} to {old - 1} were scored again"
            if new < old
            else f"whatever was committed from offset {old} to {new - 1} was skipped, or its "
            "account is lost"
        )
        interval = LedgerInterval(before.source, before.account, after.account)
        detail = f"the group's offset was moved to {new} from outside: {consequence}"
        results.append(Finding(interval, Verdict.ACCOUNT_RESTARTED, detail))
    return results


def since_last_opening(records: Sequence[LedgerRecord]) -> Sequence[LedgerRecord]:
    """Return the records from the newest beginning of the account on."""
    opened = [n for n, record in enumerate(records) if record.cause is Cause.OPENED]
    return records[opened[-1] :] if opened else records
