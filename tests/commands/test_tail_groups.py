"""`sensorwatch tail` shows the group of a sensor only if an event contains one."""

import sys

import pytest

from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.commands.tail_output import LiveOutput
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.scoring.detections import Severity
from tests.commands.test_tail import (
    a_closing_event,
    an_accepted_event,
    an_event,
    event_record,
    printed_line,
)
from tests.demo.test_screens import CONTROL_SEQUENCE, FakeTerminal


def with_group(value: bytes) -> bytes:
    return value.replace(b"{", b'{"group":"line 2",', 1)


@pytest.mark.parametrize(
    ("value", "event_type"),
    [
        (an_event(), EventType.DETECTED),
        (a_closing_event(), EventType.CLOSED),
        (an_accepted_event(), EventType.ACCEPTED),
    ],
)
def test_a_line_has_the_group_after_the_sensor(value: bytes, event_type: EventType) -> None:
    plain_line = printed_line(value, event_type)
    line = printed_line(with_group(value), event_type)

    before, group, after = line.partition("  in line 2  ")
    assert group
    assert before + after == plain_line


@pytest.mark.parametrize("value", [an_event(1), with_group(an_event(1))])
def test_the_live_view_has_a_column_of_groups_if_one_is_known(
    value: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "140")
    output = LiveOutput(EventSelection(Severity.WARNING))

    with output.screen():
        output.show(event_record(value))  # type: ignore[arg-type] # a record is enough

    last_frame = CONTROL_SEQUENCE.sub("", terminal.getvalue()).split("event time")[-1]
    header, *_ = last_frame.splitlines()
    (line,) = [line for line in last_frame.splitlines() if "sensor-1" in line]
    has_group = b"line 2" in value
    assert ("group" in header, "sensor-1 line 2" in " ".join(line.split())) == (has_group,) * 2
