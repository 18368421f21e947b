"""Checks the committed offsets and accounts of a group."""

from collections import Counter
from collections.abc import Iterator

from tests.checker.run_history import FinalAccount, InputPartition, RecordOutcome
from tests.checker.violation import Violation, ViolationKind


def check_offset(input_partition: InputPartition) -> Iterator[Violation]:
    """Check that the committed offset is a next offset, and is the one that was expected."""
    name, committed = input_partition.partition, input_partition.committed
    if input_partition.until is not None and (committed or 0) != input_partition.until:
        yield Violation(
            ViolationKind.OFFSET, f"{name}: committed {committed}, expected {input_partition.until}"
        )
    if committed is None or not input_partition.expected:
        return
    possible = {
        input_partition.expected[0].offset,
        *(expected.offset + 1 for expected in input_partition.expected),
    }
    if committed not in possible:
        yield Violation(
            ViolationKind.OFFSET, f"{name}: committed {committed}, which is not after a record"
        )


def check_account(input_partition: InputPartition) -> Iterator[Violation]:
    """Check that there is an account, that it adds up, and its counts and digest."""
    name, account = input_partition.partition, input_partition.account
    if input_partition.committed is None:
        return
    if account is None:
        yield Violation(ViolationKind.ACCOUNT, f"{name}: no account with the committed offset")
        return
    if account.next_offset != input_partition.committed:
        yield Violation(
            ViolationKind.ACCOUNT,
            f"{name}: up to {account.next_offset}, committed {input_partition.committed}",
        )
    if account.consumed != account.normal + account.anomalies + account.dead_letters:
        yield Violation(ViolationKind.ACCOUNT, f"{name}: does not add up: {account}")
    yield from _check_counts(input_partition, account, input_partition.committed)
    if account.digest != input_partition.digest:
        yield Violation(
            ViolationKind.DIGEST,
            f"{name}: digest {account.digest}, expected {input_partition.digest}",
        )


def _check_counts(
    input_partition: InputPartition, account: FinalAccount, committed: int
) -> Iterator[Violation]:
    outcome_counts = Counter(
        one.record_outcome
        for one in input_partition.expected
        if account.first_offset <= one.offset < committed
    )
    for name, stated, counted in (
        ("consumed", account.consumed, outcome_counts.total()),
        ("normal", account.normal, outcome_counts[RecordOutcome.NORMAL]),
        ("anomalies", account.anomalies, outcome_counts[RecordOutcome.ANOMALY]),
        ("dead letters", account.dead_letters, outcome_counts[RecordOutcome.DEAD_LETTER]),
    ):
        if stated != counted:
            yield Violation(
                ViolationKind.ACCOUNT,
                f"{input_partition.partition}: {name} {stated}, expected {counted}",
            )
