"""The two kinds of output of the demo: a live view on a terminal; plain lines in a file or pipe."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from sensorwatch.commands.event_line import (
    CLOSED_STYLE,
    SEVERITY_STYLES,
    closing_text,
    line_parts,
    short_reason,
)
from sensorwatch.common.alarms.events import ClosingEvent, Event
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.runtime.console import SafeConsole, styled
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.demo.consumer_metrics import ConsumerFigures
from sensorwatch.demo.services import Services
from sensorwatch.demo.texts import addresses

_MAX_REASONS = 4
_MAX_SENSORS = 10
_FIXED_LINES = 12
"""Number of lines of the live view that do not show a sensor."""


@dataclass(frozen=True, slots=True)
class DemoState:
    """The values that one update of the screen shows."""

    elapsed: float
    """Seconds since the simulated sensors started."""
    seconds: float
    """Duration of the whole run in seconds."""
    sent: int
    metrics: ConsumerFigures
    reasons: Mapping[str, int]
    """The number of dead letters by reason code."""
    latest: Sequence[Event | ClosingEvent]
    """The newest events, in order of arrival."""


class Screen(Protocol):
    """The output of the demo; `LiveScreen` and `PlainScreen` implement it."""

    every_seconds: float
    """Seconds between two calls of `update`."""

    def step(self, text: str) -> None:
        """Show the step that begins now."""

    def print(self, text: str, style: str) -> None:
        """Print a line. `style`: a style of rich, which plain output ignores."""

    def show_addresses(self, services: Services) -> None:
        """Print the addresses of the services, with commands to try in another terminal."""

    def live(self) -> AbstractContextManager[object]:
        """Return the context manager in which `update` must be called."""

    def update(self, state: DemoState) -> None:
        """Show the values of `state`."""


class PlainScreen:
    """Prints one line every few seconds, for logs and pipes."""

    every_seconds = 2.0

    def __init__(self) -> None:
        self._start_time = time.monotonic()
        self._printed_event: object = None

    def step(self, text: str) -> None:
        """Print the step with the seconds since the demo started."""
        print_line(f"[{time.monotonic() - self._start_time:5.1f} s] {text} ...")

    def print(self, text: str, style: str) -> None:  # noqa: ARG002 - plain lines have no styles
        """Print a line."""
        print_line(text)

    def show_addresses(self, services: Services) -> None:
        """Print the address of each service, with commands that use it."""
        for name, address, commands in addresses(services):
            print_line(f"{name:<14}{address}")
            for command in commands:
                print_line(f"    {command}")

    def live(self) -> AbstractContextManager[object]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def update(self, state: DemoState) -> None:
        """Print the metrics, and the newest alarm if it was not printed before."""
        metrics = state.metrics
        print_line(
            f"{state.elapsed:5.1f} s  sent {state.sent}  scored {metrics.records} "
            f"({metrics.rows_per_second:.0f} rows/s)  anomalies {metrics.anomalies} "
            f"({metrics.anomaly_ratio:.1%})  dead letters {metrics.dead_letters}  "
            f"model {metrics.version}"
        )
        severe_events = (event for event in reversed(state.latest) if _is_severe_enough(event))
        newest = next(severe_events, None)
        if newest is not None and newest is not self._printed_event:
            self._printed_event = newest
            print_line("         " + "".join(text for text, _ in line_parts(newest)))


class LiveScreen:
    """Draws a view that is updated in place, and prints all other lines above the view."""

    every_seconds = 0.25

    def __init__(self) -> None:
        self._console = SafeConsole()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._start_time = time.monotonic()

    def step(self, text: str) -> None:
        """Print the step with the seconds since the demo started."""
        elapsed = f"{time.monotonic() - self._start_time:5.1f} s "
        self._console.print(styled((elapsed, "dim"), f" {text} ..."))

    def print(self, text: str, style: str) -> None:
        """Print a line without wrapping, so that it can be copied."""
        self._console.print(styled((text, style)), soft_wrap=True)

    def show_addresses(self, services: Services) -> None:
        """Print the address of each service, with commands to copy into another terminal."""
        self._console.print()
        for name, address, commands in addresses(services):
            self._console.print(styled((f"{name:<14}", "bold green"), address), soft_wrap=True)
            for command in commands:
                self.print(f"  {command}", "cyan")
        self._console.print()

    def live(self) -> AbstractContextManager[object]:
        """Return the context manager that draws the view and erases it at the end."""
        return self._live

    def update(self, state: DemoState) -> None:
        """Draw the values of `state`."""
        lines = max(1, min(_MAX_SENSORS, self._console.size.height - _FIXED_LINES))
        self._live.update(_view(state, lines), refresh=True)


def _view(state: DemoState, lines: int) -> RenderableType:
    title = "latest alarm of each sensor, open and most severe first"
    return Group(
        _overview(state),
        Panel(_alarm_table(state.latest, lines), title=styled(title), border_style="dim"),
        styled(("Ctrl-C stops the sensors and prints the summary", "dim")),
    )


def _overview(state: DemoState) -> Panel:
    metrics = state.metrics
    grid = Table.grid(padding=(0, 3), expand=True)
    for _ in range(3):
        grid.add_column(ratio=1)
    grid.add_row(
        _labelled_value("rows/s", f"{metrics.rows_per_second:,.0f}"),
        _labelled_value("anomaly ratio", f"{metrics.anomaly_ratio:.1%}"),
        _labelled_value("latency", f"{metrics.latency_seconds * 1000:.0f} ms"),
    )
    grid.add_row(
        _labelled_value("scored", f"{metrics.records:,} of {state.sent:,}"),
        _labelled_value("anomalies", f"{metrics.anomalies:,}"),
        _labelled_value("dead letters", f"{metrics.dead_letters:,}"),
    )
    progress_bar = ProgressBar(
        total=state.seconds, completed=min(state.elapsed, state.seconds), complete_style="green"
    )
    remaining = max(0.0, state.seconds - state.elapsed)
    return Panel(
        Group(grid, _reason_line(state.reasons), progress_bar),
        title=styled(f"sensorwatch demo, model {metrics.version or '...'}"),
        subtitle=styled(f"{remaining:.0f} s to go"),
        border_style="green",
    )


def _labelled_value(name: str, value: str) -> RenderableType:
    return styled((f"{name} ", "dim"), (value, "bold"))


def _reason_line(reasons: Mapping[str, int]) -> RenderableType:
    sorted_reasons = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    reason_texts = "  ".join(f"{code} {count}" for code, count in sorted_reasons[:_MAX_REASONS])
    hidden_reasons = len(sorted_reasons) - _MAX_REASONS
    hidden_note = f"  and {hidden_reasons} more reasons" if hidden_reasons > 0 else ""
    text = styled(("dead letters by reason ", "dim"), f"{reason_texts}{hidden_note}" or "none yet")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _alarm_table(latest: Sequence[Event | ClosingEvent], lines: int) -> RenderableType:
    if not latest:
        return styled(("none yet", "dim"))
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("event time", style="dim", width=16)
    table.add_column("sensor", style="cyan", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column(
        "signal, value (expected range), share",
        no_wrap=True,
        overflow="ellipsis",
        ratio=1,
    )
    # Each sensor has only one line, because all events of a long fault would fill the screen.
    newest_events: dict[str, Event | ClosingEvent] = {}
    for latest_event in latest:
        newest_events.pop(latest_event.sensor_id, None)  # the newest event is the last one
        newest_events[latest_event.sensor_id] = latest_event
    newest_first = [newest_events[sensor] for sensor in reversed(newest_events)]
    by_importance = sorted(newest_first, key=_importance)
    alarms_by_sensor = {event.sensor_id: event for event in latest if isinstance(event, Event)}
    for event in by_importance[:lines]:
        table.add_row(
            styled(event.event_time[:16].replace("T", " ")),
            styled(event.sensor_id),
            *_episode_cells(event, alarms_by_sensor.get(event.sensor_id)),
        )
    return table


def _importance(event: Event | ClosingEvent) -> tuple[bool, int]:
    """Return the sort key of an event: open episodes first, then the highest severity."""
    return isinstance(event, ClosingEvent), -severity_rank(event.severity)


def _is_severe_enough(event: Event | ClosingEvent) -> bool:
    return severity_rank(event.severity) >= severity_rank(Severity.WARNING)


def _episode_cells(event: Event | ClosingEvent, alarm: Event | None) -> Iterator[RenderableType]:
    """Yield the cells of an episode: rows, severity, worst score and signal.

    `alarm`: the newest alarm of the sensor, if it is among the newest events.
    """
    if isinstance(event, ClosingEvent):
        yield str(event.rows)
        yield styled(
            (event.severity, SEVERITY_STYLES.get(event.severity, "")), (" closed", CLOSED_STYLE)
        )
        yield f"{event.peak:.2f}"
        yield styled(*((text, "dim") for text, _ in _reason_parts(event, alarm)))
        return
    yield str(event.episode.rows)
    yield styled((event.severity, SEVERITY_STYLES.get(event.severity, "")))
    yield f"{event.worst_score:.2f}"
    yield styled(*short_reason(event))


def _reason_parts(closing_event: ClosingEvent, alarm: Event | None) -> Iterator[tuple[str, str]]:
    return closing_text(closing_event) if alarm is None else short_reason(alarm)
