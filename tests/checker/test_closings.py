"""The checker detects missing and wrong events of episodes' ends."""

from dataclasses import replace

import pytest

from sensorwatch.common.kafka.records import Coordinates
from tests.checker.checker import check
from tests.checker.history_builders import (
    ACCOUNT,
    FAULTLESS,
    FAULTLESS_INPUT,
    a_history,
    written,
)
from tests.checker.run_history import EpisodeEnd, History, OutputRecord, ReaderOutput
from tests.checker.violation import ViolationKind

EPISODE_ENDS = (EpisodeEnd(3, 6, b"sensor", b"end of 3"), EpisodeEnd(8, 9, b"sensor", b"end of 8"))
INPUT = replace(FAULTLESS_INPUT, episode_ends=EPISODE_ENDS)


def an_end(episode_end: EpisodeEnd, at: int) -> OutputRecord:
    return OutputRecord(
        Coordinates("anomalies", 0, at),
        Coordinates("sensors", 0, episode_end.offset),
        episode_end.key,
        episode_end.value,
        episode=Coordinates("sensors", 0, episode_end.episode),
    )


FIRST, SECOND = an_end(EPISODE_ENDS[0], 2), an_end(EPISODE_ENDS[1], 4)
EVENTS = (written(3, 0), written(5, 1), FIRST, written(8, 3), SECOND)


def a_run(*events: OutputRecord) -> History:
    reading = replace(FAULTLESS, events=events)
    return a_history(inputs=[INPUT], afterwards=reading, during=ReaderOutput())


def kinds(history: History) -> set[ViolationKind]:
    return {violation.kind for violation in check(history)}


def test_events_in_the_order_of_their_records_have_no_violation() -> None:
    assert check(a_run(*EVENTS)) == []


@pytest.mark.parametrize("lost", [FIRST, SECOND])
def test_a_lost_end_is_detected(lost: OutputRecord) -> None:
    assert kinds(a_run(*(one for one in EVENTS if one != lost))) == {ViolationKind.LOST}


def test_a_doubled_end_is_detected() -> None:
    assert kinds(a_run(*EVENTS, an_end(EPISODE_ENDS[1], 5))) == {ViolationKind.DOUBLED}


def test_an_end_before_its_last_row_is_detected() -> None:
    early = (written(3, 0), an_end(EPISODE_ENDS[0], 1), written(5, 2), written(8, 3), SECOND)

    assert kinds(a_run(*early)) == {ViolationKind.REORDERED}


def test_the_end_must_come_before_the_event_of_the_same_record() -> None:
    episode_end = replace(EPISODE_ENDS[0], offset=8)
    one = replace(INPUT, episode_ends=(episode_end,))
    rows = (written(3, 0), written(5, 1))
    correct = (*rows, an_end(episode_end, 2), written(8, 3))
    wrong = (*rows, written(8, 2), an_end(episode_end, 3))

    for events, expected in ((correct, set()), (wrong, {ViolationKind.REORDERED})):
        reading = replace(FAULTLESS, events=events)
        history = a_history(inputs=[one], afterwards=reading, during=ReaderOutput())
        assert kinds(history) == expected


@pytest.mark.parametrize("change", [{"key": b"other"}, {"value": b"end of 4"}, {"value": None}])
def test_a_changed_end_is_detected(change: dict[str, bytes | None]) -> None:
    changed = replace(FIRST, **change)  # type: ignore[arg-type]  # a field and its value

    assert kinds(a_run(*(changed if one is FIRST else one for one in EVENTS))) == {
        ViolationKind.CHANGED
    }


@pytest.mark.parametrize("field", ["source", "episode"])
def test_an_end_of_a_wrong_record_is_detected(field: str) -> None:
    elsewhere = replace(FIRST, **{field: Coordinates("sensors", 0, 7)})  # type: ignore[arg-type]  # one of two

    violations = kinds(a_run(*(elsewhere if one is FIRST else one for one in EVENTS)))

    assert ViolationKind.UNEXPECTED in violations


def test_an_end_above_the_committed_offset_is_detected() -> None:
    account = replace(ACCOUNT, next_offset=9, consumed=9, normal=5)
    one = replace(INPUT, committed=9, account=account, until=None)
    reading = replace(FAULTLESS, events=EVENTS)

    assert kinds(a_history(inputs=[one], afterwards=reading, during=ReaderOutput())) == {
        ViolationKind.UNCOMMITTED
    }


def test_an_event_of_a_row_that_should_have_none_is_detected() -> None:
    """As with `emit = "episodes"`: the second row of an episode."""
    silent = tuple(
        replace(one, has_event=False) if one.offset == 5 else one for one in INPUT.expected
    )
    has_event = tuple(one for one in EVENTS if one != written(5, 1))

    for events, expected in ((has_event, set()), (EVENTS, {ViolationKind.UNEXPECTED})):
        reading = replace(FAULTLESS, events=events)
        inputs = [replace(INPUT, expected=silent)]
        assert (
            kinds(a_history(inputs=inputs, afterwards=reading, during=ReaderOutput())) == expected
        )
