"""Judge what a group says of itself: its committed offsets and the ledger beside them."""

from collections import Counter
from collections.abc import Iterator

from tests.checker.run_history import FinalAccount, InputPartition, RecordOutcome
from tests.checker.violation import Violation, ViolationKind


def check_offset(found: InputPartition) -> Iterator[Violation]:
    """The committed offset is the last processed one plus one, and as far as it had to be."""
    name, committed = found.partition, found.committed
    if found.until is not None and (committed or 0) != found.until:
        yield Violation(
            ViolationKind.OFFSET, f"{name}: committed {committed}, wanted {found.until}"
        )
    if committed is None or not found.expected:
        return
    possible = {found.expected[0].offset, *(expected.offset + 1 for expected in found.expected)}
    if committed not in possible:
        yield Violation(ViolationKind.OFFSET, f"{name}: committed {committed}, one past no record")


def check_account(found: InputPartition) -> Iterator[Violation]:
    """The ledger is there, adds up, counts as we do and has our digest."""
    name, account = found.partition, found.account
    if found.committed is None:
        return
    if account is None:
        yield Violation(ViolationKind.ACCOUNT, f"{name}: no account with the committed offset")
        return
    if account.next_offset != found.committed:
        yield Violation(
            ViolationKind.ACCOUNT,
            f"{name}: up to {account.next_offset}, committed {found.committed}",
        )
    if account.consumed != account.normal + account.anomalies + account.dead_letters:
        yield Violation(ViolationKind.ACCOUNT, f"{name}: does not add up: {account}")
    yield from _check_counts(found, account, found.committed)
    if account.digest != found.digest:
        yield Violation(
            ViolationKind.DIGEST, f"{name}: digest {account.digest}, wanted {found.digest}"
        )


def _check_counts(
    found: InputPartition, account: FinalAccount, committed: int
) -> Iterator[Violation]:
    outcome_counts = Counter(
        one.record_outcome
        for one in found.expected
        if account.first_offset <= one.offset < committed
    )
    for what, stated, wanted in (
        ("consumed", account.consumed, outcome_counts.total()),
        ("normal", account.normal, outcome_counts[RecordOutcome.NORMAL]),
        ("anomalies", account.anomalies, outcome_counts[RecordOutcome.ANOMALY]),
        ("dead letters", account.dead_letters, outcome_counts[RecordOutcome.DEAD_LETTER]),
    ):
        if stated != wanted:
            yield Violation(
                ViolationKind.ACCOUNT, f"{found.partition}: {what} {stated}, wanted {wanted}"
            )
