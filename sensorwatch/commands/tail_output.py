"""The three forms of output of `tail`: lines of JSON, lines of text, and a view on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from rich.console import Group
from rich.live import Live
from rich.table import Table

from sensorwatch.commands.episode_board import EpisodeBoard, EpisodeEntry
from sensorwatch.commands.event_line import (
    CLOSED_STYLE,
    SEVERITY_STYLES,
    accepted_text,
    closing_text,
    full_reason,
    line_parts,
)
from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    ClosingEvent,
    Event,
    StaleEvent,
    read_event,
)
from sensorwatch.common.kafka.records import coordinates
from sensorwatch.common.runtime.console import SafeConsole, styled
from sensorwatch.common.runtime.printing import print_json_line, print_note

if TYPE_CHECKING:
    from confluent_kafka import Message

_FIXED_LINES = 4
"""Number of lines of the view that show no episode."""


class TailOutput(Protocol):
    """Shows the records of the anomaly topic."""

    def screen(self) -> AbstractContextManager[object]:
        """Return the context manager in which `show` must be called."""

    def show(self, message: Message) -> bool:
        """Show a record. Return whether it changed the output."""

    def finish(self) -> None:
        """Print how many episodes were hidden."""


class JsonOutput:
    """Prints the value of each selected event."""

    def __init__(self, selection: EventSelection) -> None:
        self._selection = selection

    def screen(self) -> AbstractContextManager[object]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def show(self, message: Message) -> bool:
        """Print the value of a record. Records that are not events are printed, too."""
        event = read_event(message)
        is_selected = event is None or (
            self._selection.has_selected_sensor_and_time(event)
            and self._selection.is_severe_enough(event)
        )
        if is_selected:
            print_json_line(message.value() or b"null")
        return is_selected

    def finish(self) -> None:
        """Do nothing: only events are printed."""


class LineOutput:
    """Prints a line for each new, risen, accepted or closed episode, or for each event."""

    def __init__(self, selection: EventSelection, *, every_row: bool) -> None:
        self._selection = selection
        self._board = EpisodeBoard(selection)
        self._every_row = every_row
        self._console = SafeConsole()

    def screen(self) -> AbstractContextManager[object]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def show(self, message: Message) -> bool:
        """Print a line if the record's event is selected and changes what is shown."""
        event = read_event(message)
        if event is None:
            line = styled((f"{coordinates(message)} is not an anomaly event", "dim"))
            self._console.print(line, soft_wrap=True)
            return True
        entry = self._board.add(event)
        has_own_line = self._every_row and self._selection.has_selected_sensor_and_time(event)
        if entry is None and not (has_own_line and self._selection.is_severe_enough(event)):
            return False
        parts = list(line_parts(event))
        if entry is not None and entry.previous_severity:
            parts.append((f"  (was {entry.previous_severity})", "dim"))
        self._console.print(styled(*parts), soft_wrap=True)
        return True

    def finish(self) -> None:
        """Print the number of hidden episodes."""
        if self._board.hidden_count:
            print_note(hidden_text(self._board.hidden_count))


class LiveOutput:
    """Draws one line for each episode and updates it; the open and worst episodes come first."""

    def __init__(self, selection: EventSelection) -> None:
        self._board = EpisodeBoard(selection)
        self._console = SafeConsole()
        self._live = Live(console=self._console, auto_refresh=False)

    def screen(self) -> AbstractContextManager[object]:
        """Return the context manager that draws the view."""
        self._draw()
        return self._live

    def show(self, message: Message) -> bool:
        """Add a record to the view."""
        event = read_event(message)
        previous_hidden_count = self._board.hidden_count
        entry = None if event is None else self._board.add(event)
        if entry is not None or self._board.hidden_count != previous_hidden_count:
            self._draw()
        return entry is not None

    def finish(self) -> None:
        """Do nothing: the view shows the number of hidden episodes."""

    def _draw(self) -> None:
        lines = max(1, self._console.size.height - _FIXED_LINES)
        table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
        table.add_column("event time", style="dim", width=16)
        table.add_column("sensor", style="bold cyan", no_wrap=True)
        entries = self._board.entries(lines)
        has_groups = any(entry.event.group for entry in entries)
        if has_groups:
            table.add_column("group", style="cyan", no_wrap=True)
        table.add_column("severity", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("reason", no_wrap=True, overflow="ellipsis", ratio=1)
        for entry in entries:
            table.add_row(
                styled(entry.event.event_time[:16].replace("T", " ")),
                styled(entry.event.sensor_id),
                *([styled(entry.event.group)] if has_groups else []),
                styled((entry.severity, SEVERITY_STYLES.get(entry.severity, ""))),
                styled(_state(entry)),
                _score_text(entry),
                styled(*_reason(entry)),
            )
        footer = hidden_text(self._board.hidden_count) if self._board.hidden_count else ""
        self._live.update(
            Group(table, styled((f"{footer}{'; ' if footer else ''}Ctrl-C ends", "dim"))),
            refresh=True,
        )


def hidden_text(hidden_count: int) -> str:
    """Return a sentence about the episodes that were not shown."""
    episodes = "1 episode" if hidden_count == 1 else f"{hidden_count} episodes"
    return f"hidden: {episodes} of a lower severity (--severity info shows all)"


def _state(entry: EpisodeEntry) -> tuple[str, str]:
    if entry.is_closed:
        return "closed", CLOSED_STYLE
    if isinstance(entry.event, StaleEvent):
        return "model", ""
    return ("accepted", CLOSED_STYLE) if entry.is_accepted else ("open", "")


def _score_text(entry: EpisodeEntry) -> str:
    """Return the highest known score of the episode; empty if no event with a score was read."""
    if isinstance(entry.event, ClosingEvent):
        return f"{entry.event.peak:.2f}"
    alarm = entry.event if isinstance(entry.event, Event) else entry.alarm
    return "" if alarm is None else f"{alarm.worst_score:.2f}"


def _reason(entry: EpisodeEntry) -> Iterator[tuple[str, str]]:
    if isinstance(entry.event, ClosingEvent):
        yield from closing_text(entry.event)
        if entry.alarm is not None:
            yield "; ", ""
    elif isinstance(entry.event, AcceptedEvent):
        yield from accepted_text(entry.event)
        if entry.alarm is not None:
            yield "; ", ""
    elif isinstance(entry.event, StaleEvent):
        yield entry.event.message, "bold"
    elif entry.previous_severity:
        yield f"was {entry.previous_severity}; ", "dim"
    if entry.alarm is not None:
        yield from full_reason(entry.alarm)
