"""Checks the committed offsets and accounts of a group."""

from collections import Counter
from collections.abc import Iterator

from tests.checker.run_history import FinalAccount, InputPartition, RecordOutcome
from tests.checker.violation import Violation, ViolationKind


def check_offset(input_partition: InputPartition) -> Iterator[Violation]:
    """Check that the committed offset is the required offset and lies directly after a record."""
    name, committed_offset = input_partition.partition, input_partition.committed_offset
    if (
        input_partition.required_offset is not None
        and (committed_offset or 0) != input_partition.required_offset
    ):
        yield Violation(
            ViolationKind.WRONG_OFFSET,
            f"{name}: committed {committed_offset}, expected {input_partition.required_offset}",
        )
    if committed_offset is None or not input_partition.expected_outcomes:
        return
    next_offsets = {
        input_partition.expected_outcomes[0].offset,
        *(expected_outcome.offset + 1 for expected_outcome in input_partition.expected_outcomes),
    }
    if committed_offset not in next_offsets:
        yield Violation(
            ViolationKind.WRONG_OFFSET,
            f"{name}: committed {committed_offset}, which is not after a record",
        )


def check_account(input_partition: InputPartition) -> Iterator[Violation]:
    """Check that an account exists and that its counts, their sum and its digest are correct."""
    name, account = input_partition.partition, input_partition.account
    if input_partition.committed_offset is None:
        return
    if account is None:
        yield Violation(
            ViolationKind.WRONG_ACCOUNT, f"{name}: no account with the committed offset"
        )
        return
    if account.next_offset != input_partition.committed_offset:
        yield Violation(
            ViolationKind.WRONG_ACCOUNT,
            f"{name}: up to {account.next_offset}, committed {input_partition.committed_offset}",
        )
    if account.consumed != (
        account.normal + account.anomalies + account.dead_letters + account.absorbed
    ):
        yield Violation(ViolationKind.WRONG_ACCOUNT, f"{name}: does not add up: {account}")
    yield from _check_counts(input_partition, account, input_partition.committed_offset)
    if account.digest != input_partition.digest:
        yield Violation(
            ViolationKind.WRONG_DIGEST,
            f"{name}: digest {account.digest}, expected {input_partition.digest}",
        )


def _check_counts(
    input_partition: InputPartition, account: FinalAccount, committed_offset: int
) -> Iterator[Violation]:
    outcome_counts = Counter(
        outcome.record_outcome
        for outcome in input_partition.expected_outcomes
        if account.first_offset <= outcome.offset < committed_offset
    )
    scored_rows = outcome_counts[RecordOutcome.NORMAL] + outcome_counts[RecordOutcome.ANOMALY]
    for count_name, account_count, expected_count in (
        ("consumed", account.consumed, outcome_counts.total()),
        ("normal", account.normal, outcome_counts[RecordOutcome.NORMAL]),
        ("anomalies", account.anomalies, outcome_counts[RecordOutcome.ANOMALY]),
        ("dead letters", account.dead_letters, outcome_counts[RecordOutcome.DEAD_LETTER]),
        ("absorbed", account.absorbed, outcome_counts[RecordOutcome.ABSORBED]),
        ("rows", scored_rows if account.rows is None else account.rows, scored_rows),
    ):
        if account_count != expected_count:
            yield Violation(
                ViolationKind.WRONG_ACCOUNT,
                f"{input_partition.partition}: {count_name} {account_count}, "
                f"expected {expected_count}",
            )
