"""The live view of the demo escapes texts from other programs."""

import io
import re
import sys

import pytest

from sensorwatch.commands.event_line import read_event
from sensorwatch.demo.consumer_metrics import ConsumerMetrics
from sensorwatch.demo.screens import LiveScreen, PlainScreen, Screen, State
from tests.commands.test_tail import a_signal, an_event, event_record
from tests.runtime.test_printing import is_safe

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""The codes of rich itself: colours and cursor."""


class Terminal(io.StringIO):
    """A standard output that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def hostile(name: str) -> str:
    return f"{name}\x1b[2J\x9b\u202e[red]x[/]\n"


@pytest.fixture
def state() -> State:
    """A state with hostile texts in each field that other programs may write."""
    value = an_event(
        sensor_id=hostile("sensor_id"),
        event_time=hostile("event_time"),
        severity=hostile("severity"),
        status=hostile("status"),
        signals=[a_signal(hostile("signal"), 20.0, hostile("direction"))],
    )
    event = read_event(event_record(value))
    assert event is not None
    return State(
        elapsed=1.0,
        seconds=10.0,
        sent=100,
        metrics=ConsumerMetrics(version=hostile("version")),
        reasons={hostile("reason"): 3},
        latest=[event],
    )


@pytest.mark.parametrize("kind", [LiveScreen, PlainScreen])
def test_texts_from_other_programs_are_escaped_and_not_read_as_markup(
    kind: type[Screen], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "400")
    screen = kind()

    with screen.live():
        screen.update(state)
    screen.step(hostile("step"))
    screen.print(hostile("line"), "bold")

    shown = CONTROL_SEQUENCE.sub("", terminal.getvalue())
    assert is_safe(shown.replace("\n", "").replace("\r", ""))
    for name in ("sensor_id", "severity", "version", "signal", "direction", "step", "line"):
        assert rf"{name}\x1b[2J\x9b\u202e[red]x[/]\n" in shown, name
