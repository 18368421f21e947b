"""The checker reports every kind of violation and accepts a faultless history."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.checker import find_violations
from tests.checker.history_builders import (
    ACCOUNT,
    DIGEST,
    EVENT_PARTITION,
    FAULTLESS_INPUT,
    FAULTLESS_OUTPUT,
    a_history,
    event_records,
    expected_outcome,
    history_after_run,
    history_with_account,
    history_with_commit,
    output_record,
    violation_kinds,
)
from tests.checker.run_history import (
    EndOffsets,
    FinalAccount,
    InputPartition,
    ReaderOutput,
    RecordOutcome,
)
from tests.checker.violation import ViolationKind, violation_report


def test_a_faultless_history_has_no_violations() -> None:
    assert find_violations(a_history()) == []


def test_absorbed_records_are_part_of_the_account() -> None:
    outcomes = tuple(
        replace(outcome, record_outcome=RecordOutcome.ABSORBED) if outcome.offset == 1 else outcome
        for outcome in FAULTLESS_INPUT.expected_outcomes
    )
    account = replace(ACCOUNT, normal=ACCOUNT.normal - 1, absorbed=1)
    absorbing_input = replace(FAULTLESS_INPUT, expected_outcomes=outcomes, account=account)

    assert find_violations(a_history(inputs=[absorbing_input])) == []
    for wrong_account in (
        ACCOUNT,
        replace(account, absorbed=0),
        replace(account, normal=ACCOUNT.normal, absorbed=0),
        replace(account, rows=10),
    ):
        wrong_input = replace(absorbing_input, account=wrong_account)
        assert violation_kinds(a_history(inputs=[wrong_input])) == {ViolationKind.WRONG_ACCOUNT}


def test_a_run_that_stopped_early_has_no_violation() -> None:
    partial_output = ReaderOutput(event_records(3, 5), (output_record(4, 0),))
    account = FinalAccount(6, consumed=6, normal=3, anomalies=2, dead_letters=1, digest=DIGEST)
    input_partition = replace(
        FAULTLESS_INPUT, committed_offset=6, account=account, required_offset=None
    )

    assert (
        find_violations(
            a_history(
                output_after_run=partial_output,
                output_during_run=partial_output,
                inputs=[input_partition],
            )
        )
        == []
    )


def test_a_partition_that_was_not_consumed_has_no_violation() -> None:
    unconsumed_input = InputPartition(
        Partition("sensors", 1), (expected_outcome(3),), None, None, None
    )

    assert find_violations(a_history(inputs=[FAULTLESS_INPUT, unconsumed_input])) == []


def test_gaps_between_input_offsets_are_not_a_violation() -> None:
    outcomes = tuple(
        outcome for outcome in FAULTLESS_INPUT.expected_outcomes if outcome.offset not in (0, 6, 9)
    )
    account = replace(ACCOUNT, next_offset=9, consumed=7, normal=3)
    input_partition = replace(
        FAULTLESS_INPUT,
        expected_outcomes=outcomes,
        committed_offset=9,
        account=account,
        required_offset=9,
    )

    assert find_violations(a_history(inputs=[input_partition])) == []


def test_outcomes_may_be_spread_over_output_partitions() -> None:
    records = (
        output_record(3, 7),
        output_record(8, 9),
        replace(output_record(5, 0), coordinates=Coordinates("anomalies", 1, 0)),
    )
    assert find_violations(history_after_run(events=records)) == []


@pytest.mark.parametrize("lost_offset", [3, 5, 8])
def test_a_lost_event_is_detected(lost_offset: int) -> None:
    remaining_events = tuple(
        event for event in FAULTLESS_OUTPUT.events if event.source.offset != lost_offset
    )

    (violation,) = find_violations(history_after_run(events=remaining_events))

    assert violation.kind is ViolationKind.LOST_OUTCOME
    assert f"sensors-0-{lost_offset}" in violation.detail


def test_a_lost_dead_letter_is_detected() -> None:
    assert violation_kinds(history_after_run(dead_letters=())) == {ViolationKind.LOST_OUTCOME}


def test_a_doubled_event_is_detected() -> None:
    assert violation_kinds(history_after_run(events=event_records(3, 5, 5, 8))) == {
        ViolationKind.DOUBLED_OUTCOME
    }


def test_a_doubled_event_in_another_partition_is_detected() -> None:
    duplicate = replace(output_record(5, 0), coordinates=Coordinates("anomalies", 1, 0))

    assert violation_kinds(history_after_run(events=(*FAULTLESS_OUTPUT.events, duplicate))) == {
        ViolationKind.DOUBLED_OUTCOME
    }


def test_a_doubled_dead_letter_is_detected() -> None:
    assert violation_kinds(
        history_after_run(dead_letters=(output_record(4, 0), output_record(4, 1)))
    ) == {ViolationKind.DOUBLED_OUTCOME}


def test_a_batch_that_was_written_twice_is_doubled_and_reordered() -> None:
    assert violation_kinds(history_after_run(events=event_records(3, 5, 3, 5, 8))) == {
        ViolationKind.DOUBLED_OUTCOME,
        ViolationKind.REORDERED_OUTCOME,
    }


def test_reordered_events_are_detected() -> None:
    assert violation_kinds(history_after_run(events=event_records(3, 8, 5))) == {
        ViolationKind.REORDERED_OUTCOME
    }


def test_two_input_partitions_may_be_interleaved_in_any_order() -> None:
    other_input = InputPartition(Partition("sensors", 1), (expected_outcome(3),), 4, None, None)
    account = FinalAccount(4, consumed=1, normal=0, anomalies=1, dead_letters=0, digest=1)
    other_event = replace(output_record(3, 2), source=Coordinates("sensors", 1, 3))
    mixed_events = (output_record(3, 0), output_record(5, 1), other_event, output_record(8, 3))

    history = a_history(
        output_after_run=replace(FAULTLESS_OUTPUT, events=mixed_events),
        output_during_run=ReaderOutput(),
        inputs=[FAULTLESS_INPUT, replace(other_input, account=account, digest=1)],
    )

    assert find_violations(history) == []


@pytest.mark.parametrize("changed_value", [b"outcome o", b"", None, b"outcome of 55"])
def test_an_event_with_a_changed_value_is_detected(changed_value: bytes | None) -> None:
    changed_events = (
        output_record(3, 0),
        output_record(5, 1, value=changed_value),
        output_record(8, 2),
    )

    assert violation_kinds(history_after_run(events=changed_events)) == {
        ViolationKind.CHANGED_OUTCOME
    }


def test_an_event_under_another_key_is_detected() -> None:
    changed_events = (output_record(3, 0, key=b"another"), output_record(5, 1), output_record(8, 2))

    assert violation_kinds(history_after_run(events=changed_events)) == {
        ViolationKind.CHANGED_OUTCOME
    }


def test_a_dead_letter_for_another_reason_is_detected() -> None:
    assert violation_kinds(
        history_after_run(dead_letters=(output_record(4, 0, reason="empty"),))
    ) == {ViolationKind.CHANGED_OUTCOME}


def test_a_dead_letter_with_a_changed_value_is_detected() -> None:
    assert violation_kinds(
        history_after_run(dead_letters=(output_record(4, 0, value=b"out"),))
    ) == {ViolationKind.CHANGED_OUTCOME}


def test_a_truncated_dead_letter_must_be_the_beginning_of_the_record() -> None:
    truncated_letter = output_record(4, 0, value=b"out", truncated=True)
    wrong_letter = output_record(4, 0, value=b"in", truncated=True)

    assert violation_kinds(history_after_run(dead_letters=(truncated_letter,))) == set()
    assert violation_kinds(history_after_run(dead_letters=(wrong_letter,))) == {
        ViolationKind.CHANGED_OUTCOME
    }


def test_an_event_for_a_normal_record_is_detected() -> None:
    extra_event = output_record(6, 3, value=b"nothing happened")

    assert violation_kinds(
        history_after_run(
            events=(output_record(3, 0), output_record(5, 1), extra_event, output_record(8, 4))
        )
    ) == {ViolationKind.UNEXPECTED_OUTCOME}


def test_an_event_for_a_record_that_does_not_exist_is_detected() -> None:
    assert violation_kinds(
        history_after_run(events=(*FAULTLESS_OUTPUT.events, output_record(10, 3)))
    ) == {ViolationKind.UNEXPECTED_OUTCOME}


def test_a_record_with_both_an_event_and_a_dead_letter_is_detected() -> None:
    extra_dead_letter = replace(output_record(8, 1), coordinates=Coordinates("sensors.dlq", 0, 1))

    assert violation_kinds(
        history_after_run(dead_letters=(output_record(4, 0), extra_dead_letter))
    ) == {
        ViolationKind.UNEXPECTED_OUTCOME,
        ViolationKind.DOUBLED_OUTCOME,
    }


def test_an_outcome_above_the_committed_offset_is_detected() -> None:
    history = history_with_commit(8, consumed=8, normal=5, anomalies=2)

    assert violation_kinds(history) == {ViolationKind.UNCOMMITTED_OUTCOME}


@pytest.mark.parametrize("committed_offset", [9, 11])
def test_a_commit_off_by_one_is_detected(committed_offset: int) -> None:
    input_partition = replace(FAULTLESS_INPUT, committed_offset=committed_offset)

    assert ViolationKind.WRONG_OFFSET in violation_kinds(a_history(inputs=[input_partition]))


def test_a_commit_off_by_one_is_detected_without_a_required_offset() -> None:
    assert violation_kinds(history_with_commit(9)) == {
        ViolationKind.WRONG_ACCOUNT
    }  # the account counts one more record than are committed
    assert violation_kinds(history_with_commit(11)) == {ViolationKind.WRONG_OFFSET}


def test_a_run_that_did_not_reach_its_end_is_detected() -> None:
    assert ViolationKind.WRONG_OFFSET in violation_kinds(
        a_history(inputs=[replace(FAULTLESS_INPUT, required_offset=20)])
    )
    unconsumed_input = replace(FAULTLESS_INPUT, committed_offset=None, account=None)
    history = a_history(
        inputs=[unconsumed_input], output_after_run=ReaderOutput(), output_during_run=ReaderOutput()
    )
    assert violation_kinds(history) == {ViolationKind.WRONG_OFFSET}


@pytest.mark.parametrize(
    "changes",
    [
        {"normal": 5},
        {"consumed": 11},
        {"dead_letters": 2},
        {"normal": 5, "anomalies": 4},
        {"consumed": 9, "normal": 5},
        {"next_offset": 9},
    ],
)
def test_a_wrong_account_is_detected(changes: dict[str, int]) -> None:
    assert violation_kinds(history_with_account(**changes)) == {ViolationKind.WRONG_ACCOUNT}


def test_a_missing_account_is_detected() -> None:
    assert violation_kinds(a_history(inputs=[replace(FAULTLESS_INPUT, account=None)])) == {
        ViolationKind.WRONG_ACCOUNT
    }


def test_a_wrong_digest_is_detected() -> None:
    assert violation_kinds(history_with_account(digest=DIGEST + 1)) == {ViolationKind.WRONG_DIGEST}


def test_a_hanging_transaction_is_detected() -> None:
    assert violation_kinds(a_history(output_ends=[EndOffsets(EVENT_PARTITION, 3, 7)])) == {
        ViolationKind.OPEN_TRANSACTION
    }


def test_an_aborted_record_read_during_the_run_is_detected() -> None:
    output_during_run = ReaderOutput((*event_records(3, 5), output_record(8, 2)))
    output_after_run = ReaderOutput(
        (*event_records(3, 5), output_record(8, 3)), FAULTLESS_OUTPUT.dead_letters
    )

    assert violation_kinds(
        a_history(output_during_run=output_during_run, output_after_run=output_after_run)
    ) == {ViolationKind.ABORTED_RECORD}


def test_a_record_that_the_reader_skipped_is_detected() -> None:
    output_during_run = ReaderOutput((output_record(3, 0), output_record(8, 2)))

    assert violation_kinds(a_history(output_during_run=output_during_run)) == {
        ViolationKind.SKIPPED_RECORD
    }


def test_a_record_read_twice_during_the_run_is_detected() -> None:
    output_during_run = ReaderOutput(
        (output_record(3, 0), output_record(5, 1), output_record(5, 1), output_record(8, 2))
    )

    assert violation_kinds(a_history(output_during_run=output_during_run)) == {
        ViolationKind.DOUBLED_OUTCOME
    }


@given(st.data())
def test_every_single_change_of_the_output_is_detected(data: st.DataObject) -> None:
    changed_events = list(FAULTLESS_OUTPUT.events)
    index = data.draw(st.integers(0, len(changed_events) - 1))
    match data.draw(st.sampled_from(["drop", "double", "swap", "value", "key", "source"])):
        case "drop":
            del changed_events[index]
        case "double":
            changed_events.append(
                replace(changed_events[index], coordinates=Coordinates("anomalies", 0, 9))
            )
        case "swap":
            changed_events[index], changed_events[index - 1] = (
                changed_events[index - 1],
                changed_events[index],
            )
        case "value":
            value = data.draw(
                st.none() | st.binary().filter(lambda v: v != changed_events[index].value)
            )
            changed_events[index] = replace(changed_events[index], value=value)
        case "key":
            key = data.draw(st.none() | st.binary().filter(lambda k: k != b"sensor"))
            changed_events[index] = replace(changed_events[index], key=key)
        case "source":
            other_offset = data.draw(
                st.integers(-1, 11).filter(lambda o: o != changed_events[index].source.offset)
            )
            changed_events[index] = replace(
                changed_events[index], source=Coordinates("sensors", 0, other_offset)
            )

    assert find_violations(history_after_run(events=tuple(changed_events)))


def test_the_report_counts_each_kind_and_shows_the_first_few() -> None:
    text = violation_report(find_violations(history_after_run(events=(), dead_letters=())))

    assert text.startswith("lost (4)\n  sensors-0-3 should be an anomaly")
    assert violation_report([]) == "no violations"


def test_the_report_names_an_account_that_does_not_add_up() -> None:
    details = [violation.detail for violation in find_violations(history_with_account(normal=5))]

    assert any("does not add up" in detail for detail in details)


def test_the_record_at_the_committed_offset_needs_no_outcome() -> None:
    output = ReaderOutput(event_records(3, 5), FAULTLESS_OUTPUT.dead_letters)
    account = replace(ACCOUNT, next_offset=8, consumed=8, normal=5, anomalies=2)
    input_partition = replace(
        FAULTLESS_INPUT, committed_offset=8, account=account, required_offset=None
    )

    assert (
        find_violations(
            a_history(output_after_run=output, output_during_run=output, inputs=[input_partition])
        )
        == []
    )


def test_an_aborted_dead_letter_read_during_the_run_is_detected() -> None:
    output_during_run = replace(FAULTLESS_OUTPUT, dead_letters=(output_record(4, 3),))

    assert violation_kinds(a_history(output_during_run=output_during_run)) == {
        ViolationKind.ABORTED_RECORD,
        ViolationKind.SKIPPED_RECORD,
    }


def test_events_read_in_another_order_during_the_run_are_detected() -> None:
    output_during_run = replace(
        FAULTLESS_OUTPUT, events=(output_record(3, 0), output_record(8, 2), output_record(5, 1))
    )

    assert violation_kinds(a_history(output_during_run=output_during_run)) == {
        ViolationKind.REORDERED_OUTCOME
    }
