"""Split a ledger into the intervals to verify, and define the verdicts on an interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, start_segment

COUNT_FIELDS = ("consumed", "normal", "anomalies", "dead_letters", "absorbed", "joined", "rows")
"""The counts of an account: all records, the records of each outcome, and the scored rows."""


class Verdict(StrEnum):
    """The result of the verification of a ledger interval."""

    PROVEN = "proven"
    """Counts, digest and memory are equal: each record was scored once, with exactly these scores.
    """
    COUNTS_ONLY = "counts only"
    """Counts are equal. The digest is not compared, because code, libraries or CPU differ."""
    DIFFERENT = "DIFFERENT"
    """Counts, digest or memory differ: a record was lost, doubled or scored differently."""
    NOT_RETAINED = "input not retained"
    """Records of the interval, or earlier records that the memory depends on, were deleted."""
    ACCOUNT_RESTARTED = "ACCOUNT RESTARTED"
    """The group's offset was moved, so the records between the old and the new offset are not
    proven."""
    NO_MODEL = "model not there"
    """The version or policy of the interval is no longer in the registry, or is damaged."""


@dataclass(frozen=True, slots=True)
class LedgerInterval:
    """The input records of one partition between two accounts.

    One version has scored them all, under one policy.
    """

    partition: Partition
    begin: Account
    end: Account
    unused_versions: tuple[str, ...] = ()
    """Versions that were the champion directly before the interval, but scored no record."""

    @property
    def version(self) -> str:
        """Return the version that scored the interval."""
        return self.end.model_version

    @property
    def policy(self) -> str:
        """Return the id of the policy in force in the interval; empty without a policy."""
        return self.end.policy

    @property
    def records(self) -> int:
        """Return the number of records between the two accounts, or 0 if the account restarted."""
        return max(0, self.end.consumed - self.begin.consumed)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on a ledger interval."""

    interval: LedgerInterval
    verdict: Verdict
    detail: str = ""


def split_ledger(
    records: Sequence[LedgerRecord], committed: Account | None
) -> list[LedgerInterval]:
    """Return the intervals of a partition's ledger; each has only one version and digest segment.

    `records`: the ledger records of one partition, in order. `committed`: the account in the
    metadata of the committed offset.
    """
    accounts = [(record.cause, record.account) for record in records]
    if accounts and committed is not None:
        accounts.append((Cause.INTERVAL, committed))
    intervals = []
    unused_versions: list[str] = []
    for (_, begin), (cause, end) in pairwise(accounts):
        if cause is Cause.OPENED or end.next_offset == begin.next_offset:
            unused_versions = [] if cause is Cause.OPENED else [*unused_versions, end.model_version]
            continue
        if end.segment != begin.segment:
            begin = start_segment(begin, fingerprint=end.fingerprint)  # noqa: PLW2901 - only the digest starts again
        intervals.append(LedgerInterval(records[0].source, begin, end, tuple(unused_versions)))
        unused_versions = []
    return intervals


def restarted_accounts(records: Sequence[LedgerRecord]) -> list[Finding]:
    """Return a finding for each time that a partition's account restarted at another offset.

    `records`: the ledger records of one partition, in order.
    """
    findings = []
    for record, next_record in pairwise(records):
        old_offset, new_offset = record.account.next_offset, next_record.account.next_offset
        if next_record.cause is not Cause.OPENED or old_offset == new_offset:
            continue
        consequence = (
            f"offsets {new_offset} to {old_offset - 1} were scored again"
            if new_offset < old_offset
            else f"offsets {old_offset} to {new_offset - 1} were skipped, or their account is lost"
        )
        interval = LedgerInterval(record.source, record.account, next_record.account)
        detail = f"the group's offset was moved by hand to {new_offset}: {consequence}"
        findings.append(Finding(interval, Verdict.ACCOUNT_RESTARTED, detail))
    return findings


def since_last_opening(records: Sequence[LedgerRecord]) -> Sequence[LedgerRecord]:
    """Return the ledger records from the newest opening of the account on."""
    opening_indices = [
        index for index, record in enumerate(records) if record.cause is Cause.OPENED
    ]
    return records[opening_indices[-1] :] if opening_indices else records
