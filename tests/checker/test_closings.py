"""The checker detects missing and wrong events of ended episodes."""

from dataclasses import replace

import pytest

from sensorwatch.common.kafka.records import Coordinates
from tests.checker.checker import find_violations
from tests.checker.history_builders import (
    ACCOUNT,
    FAULTLESS_INPUT,
    FAULTLESS_OUTPUT,
    a_history,
    output_record,
)
from tests.checker.run_history import EpisodeEnd, History, OutputRecord, ReaderOutput
from tests.checker.violation import ViolationKind

EPISODE_ENDS = (EpisodeEnd(3, 6, b"sensor", b"end of 3"), EpisodeEnd(8, 9, b"sensor", b"end of 8"))
INPUT_PARTITION = replace(FAULTLESS_INPUT, episode_ends=EPISODE_ENDS)


def end_record(episode_end: EpisodeEnd, output_offset: int) -> OutputRecord:
    return OutputRecord(
        Coordinates("anomalies", 0, output_offset),
        Coordinates("sensors", 0, episode_end.offset),
        episode_end.key,
        episode_end.value,
        episode=Coordinates("sensors", 0, episode_end.episode),
    )


FIRST_END_RECORD, SECOND_END_RECORD = end_record(EPISODE_ENDS[0], 2), end_record(EPISODE_ENDS[1], 4)
EVENTS = (
    output_record(3, 0),
    output_record(5, 1),
    FIRST_END_RECORD,
    output_record(8, 3),
    SECOND_END_RECORD,
)


def history_of(*events: OutputRecord) -> History:
    output = replace(FAULTLESS_OUTPUT, events=events)
    return a_history(
        inputs=[INPUT_PARTITION], output_after_run=output, output_during_run=ReaderOutput()
    )


def violation_kinds(history: History) -> set[ViolationKind]:
    return {violation.kind for violation in find_violations(history)}


def test_events_in_the_order_of_their_records_have_no_violation() -> None:
    assert find_violations(history_of(*EVENTS)) == []


@pytest.mark.parametrize("lost_end", [FIRST_END_RECORD, SECOND_END_RECORD])
def test_a_lost_episode_end_is_detected(lost_end: OutputRecord) -> None:
    assert violation_kinds(history_of(*(event for event in EVENTS if event != lost_end))) == {
        ViolationKind.LOST_OUTCOME
    }


def test_a_doubled_episode_end_is_detected() -> None:
    assert violation_kinds(history_of(*EVENTS, end_record(EPISODE_ENDS[1], 5))) == {
        ViolationKind.DOUBLED_OUTCOME
    }


def test_an_episode_end_before_the_last_row_is_detected() -> None:
    events = (
        output_record(3, 0),
        end_record(EPISODE_ENDS[0], 1),
        output_record(5, 2),
        output_record(8, 3),
        SECOND_END_RECORD,
    )

    assert violation_kinds(history_of(*events)) == {ViolationKind.REORDERED_OUTCOME}


def test_an_episode_end_must_come_before_the_event_of_the_same_record() -> None:
    episode_end = replace(EPISODE_ENDS[0], offset=8)
    input_partition = replace(INPUT_PARTITION, episode_ends=(episode_end,))
    row_events = (output_record(3, 0), output_record(5, 1))
    correct_events = (*row_events, end_record(episode_end, 2), output_record(8, 3))
    wrong_events = (*row_events, output_record(8, 2), end_record(episode_end, 3))

    for events, expected_kinds in (
        (correct_events, set()),
        (wrong_events, {ViolationKind.REORDERED_OUTCOME}),
    ):
        output = replace(FAULTLESS_OUTPUT, events=events)
        history = a_history(
            inputs=[input_partition], output_after_run=output, output_during_run=ReaderOutput()
        )
        assert violation_kinds(history) == expected_kinds


@pytest.mark.parametrize("change", [{"key": b"other"}, {"value": b"end of 4"}, {"value": None}])
def test_a_changed_episode_end_is_detected(change: dict[str, bytes | None]) -> None:
    changed_end = replace(FIRST_END_RECORD, **change)  # type: ignore[arg-type]  # a field and its value

    assert violation_kinds(
        history_of(*(changed_end if event is FIRST_END_RECORD else event for event in EVENTS))
    ) == {ViolationKind.CHANGED_OUTCOME}


@pytest.mark.parametrize("field", ["source", "episode"])
def test_an_episode_end_with_a_wrong_record_is_detected(field: str) -> None:
    wrong_end = replace(FIRST_END_RECORD, **{field: Coordinates("sensors", 0, 7)})  # type: ignore[arg-type]  # one of two

    violations = violation_kinds(
        history_of(*(wrong_end if event is FIRST_END_RECORD else event for event in EVENTS))
    )

    assert ViolationKind.UNEXPECTED_OUTCOME in violations


def test_an_episode_end_above_the_committed_offset_is_detected() -> None:
    account = replace(ACCOUNT, next_offset=9, consumed=9, normal=5)
    input_partition = replace(
        INPUT_PARTITION, committed_offset=9, account=account, required_offset=None
    )
    output = replace(FAULTLESS_OUTPUT, events=EVENTS)

    assert violation_kinds(
        a_history(
            inputs=[input_partition], output_after_run=output, output_during_run=ReaderOutput()
        )
    ) == {ViolationKind.UNCOMMITTED_OUTCOME}


def test_an_event_of_a_row_that_should_have_no_event_is_detected() -> None:
    """With the setting `emit = "episodes"` the second anomaly of an episode has no event."""
    outcomes = tuple(
        replace(outcome, has_event=False) if outcome.offset == 5 else outcome
        for outcome in INPUT_PARTITION.expected_outcomes
    )
    correct_events = tuple(event for event in EVENTS if event != output_record(5, 1))

    for events, expected_kinds in (
        (correct_events, set()),
        (EVENTS, {ViolationKind.UNEXPECTED_OUTCOME}),
    ):
        output = replace(FAULTLESS_OUTPUT, events=events)
        inputs = [replace(INPUT_PARTITION, expected_outcomes=outcomes)]
        assert (
            violation_kinds(
                a_history(inputs=inputs, output_after_run=output, output_during_run=ReaderOutput())
            )
            == expected_kinds
        )
