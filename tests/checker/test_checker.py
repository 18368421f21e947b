from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.checker import check
from tests.checker.history_builders import (
    ACCOUNT,
    DIGEST,
    EVENTS,
    FAULTLESS,
    FAULTLESS_INPUT,
    a_history,
    afterwards,
    events,
    expected,
    kinds,
    with_account,
    with_commit,
    written,
)
from tests.checker.run_history import EndOffsets, FinalAccount, InputPartition, ReaderOutput
from tests.checker.violation import ViolationKind, report


def test_a_faultless_history_has_no_violations() -> None:
    assert check(a_history()) == []


def test_a_run_that_was_stopped_has_no_violation_up_to_its_commit() -> None:
    stopped = ReaderOutput(events(3, 5), (written(4, 0),))
    account = FinalAccount(6, consumed=6, normal=3, anomalies=2, dead_letters=1, digest=DIGEST)
    one = replace(FAULTLESS_INPUT, committed=6, account=account, until=None)

    assert check(a_history(afterwards=stopped, during=stopped, inputs=[one])) == []


def test_a_partition_that_was_not_consumed_has_no_violation() -> None:
    untouched = InputPartition(Partition("sensors", 1), (expected(3),), None, None, None)

    assert check(a_history(inputs=[FAULTLESS_INPUT, untouched])) == []


def test_gaps_between_input_offsets_are_no_loss() -> None:
    records = tuple(one for one in FAULTLESS_INPUT.expected if one.offset not in (0, 6, 9))
    account = replace(ACCOUNT, next_offset=9, consumed=7, normal=3)
    one = replace(FAULTLESS_INPUT, expected=records, committed=9, account=account, until=9)

    assert check(a_history(inputs=[one])) == []


def test_outcomes_may_be_spread_over_output_partitions() -> None:
    spread = (
        written(3, 7),
        written(8, 9),
        replace(written(5, 0), at=Coordinates("anomalies", 1, 0)),
    )
    assert check(afterwards(events=spread)) == []


@pytest.mark.parametrize("lost", [3, 5, 8])
def test_a_lost_event_is_detected(lost: int) -> None:
    remaining = tuple(one for one in FAULTLESS.events if one.source.offset != lost)

    (violation,) = check(afterwards(events=remaining))

    assert violation.kind is ViolationKind.LOST
    assert f"sensors-0-{lost}" in violation.detail


def test_a_lost_dead_letter_is_detected() -> None:
    assert kinds(afterwards(dead_letters=())) == {ViolationKind.LOST}


def test_a_doubled_event_is_detected() -> None:
    assert kinds(afterwards(events=events(3, 5, 5, 8))) == {ViolationKind.DOUBLED}


def test_a_doubled_event_in_another_partition_is_detected() -> None:
    doubled = replace(written(5, 0), at=Coordinates("anomalies", 1, 0))

    assert kinds(afterwards(events=(*FAULTLESS.events, doubled))) == {ViolationKind.DOUBLED}


def test_a_doubled_dead_letter_is_detected() -> None:
    assert kinds(afterwards(dead_letters=(written(4, 0), written(4, 1)))) == {ViolationKind.DOUBLED}


def test_a_batch_that_was_written_twice_is_doubled_and_reordered() -> None:
    assert kinds(afterwards(events=events(3, 5, 3, 5, 8))) == {
        ViolationKind.DOUBLED,
        ViolationKind.REORDERED,
    }


def test_reordered_events_are_detected() -> None:
    assert kinds(afterwards(events=events(3, 8, 5))) == {ViolationKind.REORDERED}


def test_two_input_partitions_may_be_interleaved_in_any_order() -> None:
    other = InputPartition(Partition("sensors", 1), (expected(3),), 4, None, None)
    account = FinalAccount(4, consumed=1, normal=0, anomalies=1, dead_letters=0, digest=1)
    theirs = replace(written(3, 2), source=Coordinates("sensors", 1, 3))
    mixed = (written(3, 0), written(5, 1), theirs, written(8, 3))

    history = a_history(
        afterwards=replace(FAULTLESS, events=mixed),
        during=ReaderOutput(),
        inputs=[FAULTLESS_INPUT, replace(other, account=account, digest=1)],
    )

    assert check(history) == []


@pytest.mark.parametrize("torn", [b"outcome o", b"", None, b"outcome of 55"])
def test_a_torn_event_is_detected(torn: bytes | None) -> None:
    changed = (written(3, 0), written(5, 1, value=torn), written(8, 2))

    assert kinds(afterwards(events=changed)) == {ViolationKind.CHANGED}


def test_an_event_under_another_key_is_detected() -> None:
    changed = (written(3, 0, key=b"another"), written(5, 1), written(8, 2))

    assert kinds(afterwards(events=changed)) == {ViolationKind.CHANGED}


def test_a_dead_letter_for_another_reason_is_detected() -> None:
    assert kinds(afterwards(dead_letters=(written(4, 0, reason="empty"),))) == {
        ViolationKind.CHANGED
    }


def test_a_torn_dead_letter_is_detected() -> None:
    assert kinds(afterwards(dead_letters=(written(4, 0, value=b"out"),))) == {ViolationKind.CHANGED}


def test_a_truncated_dead_letter_must_be_the_beginning_of_the_record() -> None:
    cut = written(4, 0, value=b"out", truncated=True)
    other = written(4, 0, value=b"in", truncated=True)

    assert kinds(afterwards(dead_letters=(cut,))) == set()
    assert kinds(afterwards(dead_letters=(other,))) == {ViolationKind.CHANGED}


def test_an_event_for_a_normal_record_is_detected() -> None:
    invented = written(6, 3, value=b"nothing happened")

    assert kinds(afterwards(events=(written(3, 0), written(5, 1), invented, written(8, 4)))) == {
        ViolationKind.UNEXPECTED
    }


def test_an_event_for_a_record_that_does_not_exist_is_detected() -> None:
    assert kinds(afterwards(events=(*FAULTLESS.events, written(10, 3)))) == {
        ViolationKind.UNEXPECTED
    }


def test_a_record_with_both_an_event_and_a_dead_letter_is_detected() -> None:
    letter = replace(written(8, 1), at=Coordinates("sensors.dlq", 0, 1))

    assert kinds(afterwards(dead_letters=(written(4, 0), letter))) == {
        ViolationKind.UNEXPECTED,
        ViolationKind.DOUBLED,
    }


def test_an_outcome_above_the_committed_offset_is_detected() -> None:
    history = with_commit(8, consumed=8, normal=5, anomalies=2)

    assert kinds(history) == {ViolationKind.UNCOMMITTED}


@pytest.mark.parametrize("committed", [9, 11])
def test_a_commit_off_by_one_is_detected(committed: int) -> None:
    one = replace(FAULTLESS_INPUT, committed=committed)

    assert ViolationKind.OFFSET in kinds(a_history(inputs=[one]))


def test_a_commit_off_by_one_is_detected_without_an_expected_end() -> None:
    assert kinds(with_commit(9)) == {ViolationKind.ACCOUNT}  # counts one record too many
    assert kinds(with_commit(11)) == {ViolationKind.OFFSET}


def test_a_run_that_did_not_reach_its_end_is_detected() -> None:
    assert ViolationKind.OFFSET in kinds(a_history(inputs=[replace(FAULTLESS_INPUT, until=20)]))
    unconsumed = replace(FAULTLESS_INPUT, committed=None, account=None)
    empty = a_history(inputs=[unconsumed], afterwards=ReaderOutput(), during=ReaderOutput())
    assert kinds(empty) == {ViolationKind.OFFSET}


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
    assert kinds(with_account(**changes)) == {ViolationKind.ACCOUNT}


def test_a_missing_account_is_detected() -> None:
    assert kinds(a_history(inputs=[replace(FAULTLESS_INPUT, account=None)])) == {
        ViolationKind.ACCOUNT
    }


def test_a_wrong_digest_is_detected() -> None:
    assert kinds(with_account(digest=DIGEST + 1)) == {ViolationKind.DIGEST}


def test_a_hanging_transaction_is_detected() -> None:
    assert kinds(a_history(ends=[EndOffsets(EVENTS, 3, 7)])) == {ViolationKind.HANGING}


def test_an_aborted_record_read_during_the_run_is_detected() -> None:
    aborted = ReaderOutput((*events(3, 5), written(8, 2)))
    committed = ReaderOutput((*events(3, 5), written(8, 3)), FAULTLESS.dead_letters)

    assert kinds(a_history(during=aborted, afterwards=committed)) == {ViolationKind.PHANTOM}


def test_a_record_that_the_reader_skipped_is_detected() -> None:
    skipped = ReaderOutput((written(3, 0), written(8, 2)))

    assert kinds(a_history(during=skipped)) == {ViolationKind.MISSED}


def test_a_record_read_twice_during_the_run_is_detected() -> None:
    twice = ReaderOutput((written(3, 0), written(5, 1), written(5, 1), written(8, 2)))

    assert kinds(a_history(during=twice)) == {ViolationKind.DOUBLED}


@given(st.data())
def test_every_single_change_of_the_output_is_detected(data: st.DataObject) -> None:
    changed = list(FAULTLESS.events)
    place = data.draw(st.integers(0, len(changed) - 1))
    match data.draw(st.sampled_from(["drop", "double", "swap", "value", "key", "source"])):
        case "drop":
            del changed[place]
        case "double":
            changed.append(replace(changed[place], at=Coordinates("anomalies", 0, 9)))
        case "swap":
            changed[place], changed[place - 1] = changed[place - 1], changed[place]
        case "value":
            value = data.draw(st.none() | st.binary().filter(lambda v: v != changed[place].value))
            changed[place] = replace(changed[place], value=value)
        case "key":
            key = data.draw(st.none() | st.binary().filter(lambda k: k != b"sensor"))
            changed[place] = replace(changed[place], key=key)
        case "source":
            other = data.draw(
                st.integers(-1, 11).filter(lambda o: o != changed[place].source.offset)
            )
            changed[place] = replace(changed[place], source=Coordinates("sensors", 0, other))

    assert check(afterwards(events=tuple(changed)))


def test_the_report_counts_each_kind_and_shows_the_first_few() -> None:
    text = report(check(afterwards(events=(), dead_letters=())))

    assert text.startswith("lost (4)\n  sensors-0-3 should be an anomaly")
    assert report([]) == "no violations"


def test_the_report_names_an_account_that_does_not_add_up() -> None:
    details = [violation.detail for violation in check(with_account(normal=5))]

    assert any("does not add up" in detail for detail in details)


def test_the_record_at_the_committed_offset_needs_no_outcome() -> None:
    due = ReaderOutput(events(3, 5), FAULTLESS.dead_letters)
    account = replace(ACCOUNT, next_offset=8, consumed=8, normal=5, anomalies=2)
    one = replace(FAULTLESS_INPUT, committed=8, account=account, until=None)

    assert check(a_history(afterwards=due, during=due, inputs=[one])) == []


def test_an_aborted_dead_letter_read_during_the_run_is_detected() -> None:
    during = replace(FAULTLESS, dead_letters=(written(4, 3),))

    assert kinds(a_history(during=during)) == {ViolationKind.PHANTOM, ViolationKind.MISSED}


def test_events_read_in_another_order_during_the_run_are_detected() -> None:
    during = replace(FAULTLESS, events=(written(3, 0), written(8, 2), written(5, 1)))

    assert kinds(a_history(during=during)) == {ViolationKind.REORDERED}
