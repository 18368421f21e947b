"""The demonstration on a terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sensorwatch.common.escaping import escaped
from sensorwatch.demonstration.directions import addresses
from sensorwatch.demonstration.screen import State
from sensorwatch.demonstration.stage import Stage
from sensorwatch.event_line import (
    OVER_STYLE,
    SEVERITY_STYLES,
    Closing,
    Event,
    briefly,
    course,
)

_REASONS = 4
_MOST_SENSORS = 10
_FIXED_LINES = 12
"""Of the live view, without the sensors."""


class LiveScreen:
    """Draws on standard output; what stays is printed above what moves."""

    every_seconds = 0.25

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """Print the step with the seconds since the start."""
        elapsed = f"{time.monotonic() - self._began:5.1f} s "
        self._console.print(Text.assemble((elapsed, "dim"), (f" {text} ...", "")))

    def print(self, text: str, style: str) -> None:
        """Print a line, uncut, so that it can be copied."""
        self._console.print(Text(text, style), soft_wrap=True)

    def show_addresses(self, stage: Stage) -> None:
        """Print each address with its commands, to be copied into another terminal."""
        self._console.print()
        for what, commands in addresses(stage):
            name, _, rest = what.partition(" ")
            self._console.print(Text.assemble((name, "bold green"), " ", rest), soft_wrap=True)
            for command in commands:
                self._console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)
        self._console.print()

    def live(self) -> AbstractContextManager[object]:
        """Draw until the end of the block; what moved is wiped then."""
        return self._live

    def update(self, state: State) -> None:
        """Draw the newest state."""
        room = max(1, min(_MOST_SENSORS, self._console.size.height - _FIXED_LINES))
        self._live.update(_view(state, room), refresh=True)


def _view(state: State, room: int) -> RenderableType:
    return Group(
        _head(state),
        Panel(_events(state.latest, room), title="latest anomalies, by sensor", border_style="dim"),
        Text("Ctrl-C ends it with the account; more commands above", style="dim"),
    )


def _head(state: State) -> Panel:
    figures = state.figures
    grid = Table.grid(padding=(0, 3), expand=True)
    for _ in range(3):
        grid.add_column(ratio=1)
    grid.add_row(
        _figure("rows/s", f"{figures.rows_per_second:,.0f}"),
        _figure("anomaly ratio", f"{figures.anomaly_ratio:.1%}"),
        _figure("latency", f"{figures.latency_seconds * 1000:.0f} ms"),
    )
    grid.add_row(
        _figure("scored", f"{figures.records:,} of {state.sent:,}"),
        _figure("anomalies", f"{figures.anomalies:,}"),
        _figure("dead letters", f"{figures.dead_letters:,}"),
    )
    bar = ProgressBar(
        total=state.seconds, completed=min(state.elapsed, state.seconds), complete_style="green"
    )
    title = f"sensorwatch demo, model {figures.version or '...'}"
    body = Group(grid, _reasons(state), bar)
    left = max(0.0, state.seconds - state.elapsed)
    return Panel(body, title=title, subtitle=f"{left:.0f} s left", border_style="green")


def _figure(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _reasons(state: State) -> Text:
    reasons = sorted(state.reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = "  ".join(f"{escaped(code)} {count}" for code, count in reasons[:_REASONS])
    rest = len(reasons) - _REASONS
    more = f"  and {rest} more reasons" if rest > 0 else ""
    text = Text.assemble(("dead letters by reason ", "dim"), (f"{shown}{more}" or "none yet", ""))
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _events(latest: Sequence[Event | Closing], room: int) -> RenderableType:
    if not latest:
        return Text("none yet", style="dim")
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("event time", style="dim", width=16)
    table.add_column("sensor", style="cyan", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("what was unusual", no_wrap=True, overflow="ellipsis", ratio=1)
    # The newest of each sensor: a fault that lasts would else fill the screen.
    newest = {event.sensor_id: event for event in latest}
    order = dict.fromkeys(event.sensor_id for event in reversed(latest))
    reasons = {event.sensor_id: event for event in latest if isinstance(event, Event)}
    for sensor in islice(order, room):
        event = newest[sensor]
        table.add_row(
            escaped(event.event_time)[:16].replace("T", " "),
            escaped(sensor),
            *_state(event, reasons.get(sensor)),
        )
    return table


def _state(event: Event | Closing, reason: Event | None) -> Iterator[RenderableType]:
    """Yield the cells for rows of the episode, severity, worst score and what is to say of it.

    `reason`: the newest anomalous row of the sensor that is still remembered.
    """
    if isinstance(event, Closing):
        yield str(event.rows)
        yield Text("over", OVER_STYLE)
        yield f"{event.peak:.2f}"
        told = course(event) if reason is None else briefly(reason)
        yield Text.assemble(*told, style="dim")
        return
    yield str(event.episode.rows)
    yield Text(event.severity, SEVERITY_STYLES.get(event.severity, ""))
    yield f"{event.worst:.2f}"
    yield Text.assemble(*briefly(event))
