"""The live view of the demo escapes texts from other programs."""

import io
import re
import sys

import pytest

from sensorwatch.common.alarms.events import Event, read_event
from sensorwatch.demo.consumer_metrics import ConsumerFigures
from sensorwatch.demo.screens import DemoState, LiveScreen, PlainScreen, Screen
from tests.commands.test_tail import a_signal, an_event, event_record
from tests.runtime.test_printing import is_safe

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Matches the control sequences that rich itself prints, for colours and the cursor."""


class FakeTerminal(io.StringIO):
    """A text buffer for standard output that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def hostile_text(name: str) -> str:
    return f"{name}\x1b[2J\x9b\u202e[red]x[/]\n"


@pytest.fixture
def hostile_state() -> DemoState:
    """Return a state of the demo; every field that other programs can set is a hostile text."""
    value = an_event(
        sensor_id=hostile_text("sensor_id"),
        severity=hostile_text("severity"),
        status=hostile_text("status"),
        signals=[a_signal(hostile_text("signal"), 20.0, hostile_text("direction"))],
    )
    event = read_event(event_record(value))
    assert isinstance(event, Event)
    return DemoState(
        elapsed=1.0,
        seconds=10.0,
        sent=100,
        metrics=ConsumerFigures(version=hostile_text("version")),
        reasons={hostile_text("reason"): 3},
        latest=[event],
    )


@pytest.mark.parametrize("screen_class", [LiveScreen, PlainScreen])
def test_texts_from_other_programs_are_escaped_and_not_read_as_markup(
    screen_class: type[Screen], hostile_state: DemoState, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "400")
    screen = screen_class()

    with screen.live():
        screen.update(hostile_state)
    screen.step(hostile_text("step"))
    screen.print(hostile_text("line"), "bold")

    output = CONTROL_SEQUENCE.sub("", terminal.getvalue())
    assert is_safe(output.replace("\n", "").replace("\r", ""))
    for name in ("sensor_id", "severity", "version", "signal", "direction", "step", "line"):
        assert rf"{name}\x1b[2J\x9b\u202e[red]x[/]\n" in output, name
