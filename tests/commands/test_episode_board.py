"""Tests of the alarm episodes that `tail` shows, and of its view on a terminal."""

import json
import re
import sys
from typing import Any

import pytest

from sensorwatch.commands.episode_board import MAX_EPISODES, EpisodeBoard
from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.commands.tail_output import LiveOutput
from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    ClosingEvent,
    Event,
    read_event,
)
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.scoring.detections import Severity
from tests.commands.test_tail import a_closing_event, an_accepted_event, an_event, event_record
from tests.demo.test_screens import CONTROL_SEQUENCE, FakeTerminal


def alarm(episode: str, severity: str, *, rows: int = 1, **changes: Any) -> Event:
    value = an_event(episode={"id": episode, "rows": rows}, severity=severity, **changes)
    event = read_event(event_record(value))
    assert isinstance(event, Event)
    return event


def closing(episode: str, severity: str) -> ClosingEvent:
    value = a_closing_event(episode_id=episode, severity=severity)
    event = read_event(event_record(value, EventType.CLOSED))
    assert isinstance(event, ClosingEvent)
    return event


def accepted(episode: str, severity: str) -> AcceptedEvent:
    value = an_accepted_event(episode_id=episode, severity=severity)
    event = read_event(event_record(value, EventType.ACCEPTED))
    assert isinstance(event, AcceptedEvent)
    return event


def test_each_severity_of_an_alarm_can_be_chosen() -> None:
    alarm_severities = [severity.value for severity in Severity if severity is not Severity.NONE]

    assert [choice.value for choice in SeverityChoice] == alarm_severities


@pytest.fixture
def board() -> EpisodeBoard:
    return EpisodeBoard(EventSelection(Severity.WARNING))


def silence(event_type: EventType, **changes: str) -> AnyEvent:
    value = {
        "event_id": "sensors-0-40-silent-0",
        "sensor_id": "pump-7",
        "event_time": "2025-01-01T14:14:00Z",
        "severity": "critical",
        "message": "pump-7 has sent no row for 12 min",
    }
    event = read_event(event_record(json.dumps(value | changes).encode(), event_type))
    assert event is not None
    return event


def test_a_silent_sensor_has_one_entry_that_its_next_row_closes(board: EpisodeBoard) -> None:
    back_fields = {"event_id": "sensors-0-90-back", "silent_id": "sensors-0-40-silent-0"}
    back = silence(EventType.BACK, **back_fields)

    first_entry = board.add(silence(EventType.SILENT))
    assert first_entry is not None
    assert not first_entry.is_closed
    assert board.add(silence(EventType.SILENT)) is None, "the same event again"
    last_entry = board.add(back)
    assert last_entry is not None
    assert last_entry.is_closed
    assert board.add(back) is None
    assert board.entries(9) == [last_entry]


def test_another_fault_in_an_episode_changes_its_entry(board: EpisodeBoard) -> None:
    board.add(alarm("a", "warning"))

    entry = board.add(alarm("a", "warning", rows=2, news="change"))

    assert entry is not None
    assert (entry.severity, entry.previous_severity) == ("warning", "")


def test_an_accepted_level_changes_an_open_entry_once(board: EpisodeBoard) -> None:
    board.add(alarm("a", "major"))

    first_entry = board.add(accepted("a", "major"))
    assert first_entry is not None
    assert first_entry.is_accepted
    assert first_entry.alarm is not None
    assert board.add(accepted("a", "major")) is None
    closed_entry = board.add(closing("a", "major"))
    assert closed_entry is not None
    assert not closed_entry.is_accepted
    assert board.add(accepted("a", "major")) is None


def test_only_a_rise_of_severity_or_the_end_changes_an_entry(board: EpisodeBoard) -> None:
    changes = [
        board.add(event)
        for event in (
            alarm("a", "warning"),
            alarm("a", "warning", rows=2),
            alarm("a", "major", rows=3),
            alarm("a", "major", rows=3, news="severity"),
            closing("a", "major"),
            closing("a", "major"),
        )
    ]

    assert [None if entry is None else entry.severity for entry in changes] == [
        "warning",
        None,
        "major",
        None,
        "major",
        None,
    ]
    assert len(board.entries(10)) == 1


def test_open_episodes_come_first_and_then_the_highest_severity(board: EpisodeBoard) -> None:
    for name, severity in (("a", "critical"), ("b", "warning"), ("c", "critical"), ("d", "major")):
        board.add(alarm(name, severity, sensor_id=name))
    board.add(closing("a", "critical"))

    assert [entry.event.sensor_id for entry in board.entries(3)] == ["c", "d", "b"]
    assert [entry.is_closed for entry in board.entries(4)] == [False, False, False, True]


def test_a_hidden_episode_is_not_counted_after_its_severity_has_risen(board: EpisodeBoard) -> None:
    board.add(alarm("a", "info"))
    board.add(alarm("a", "info"))
    board.add(alarm("b", "info"))
    board.add(closing("b", "info"))
    assert board.hidden_count == 2

    board.add(alarm("a", "warning"))

    assert board.hidden_count == 1


def test_the_board_forgets_the_oldest_episodes(board: EpisodeBoard) -> None:
    for number in range(MAX_EPISODES + 5):
        board.add(alarm(f"episode-{number}", "warning"))

    assert len(board.entries(2 * MAX_EPISODES)) == MAX_EPISODES


def test_a_terminal_shows_one_line_an_episode_with_its_severity_after_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "140")
    output = LiveOutput(EventSelection(Severity.WARNING))
    info = an_event(2, severity="info")
    rising = an_event(1, episode={"id": "sensors-0-1", "rows": 1}, severity="warning")

    with output.screen():
        output.show(event_record(info))  # type: ignore[arg-type] # a record is enough
        output.show(event_record(rising))  # type: ignore[arg-type]
        output.show(event_record(a_closing_event(), EventType.CLOSED))  # type: ignore[arg-type]

    last_frame = CONTROL_SEQUENCE.sub("", terminal.getvalue()).split("event time")[-1]
    (line,) = [line for line in last_frame.splitlines() if "sensor-1" in line]
    assert re.search(r"critical +closed +2\.35 +closed after 12 rows in 11 min; x2 41\.3", line)
    assert "hidden: 1 episode of a lower severity" in last_frame
