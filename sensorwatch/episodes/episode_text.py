"""Show episodes as lines of text."""

from collections.abc import Iterator
from datetime import datetime
from math import isfinite

from sensorwatch.commands.event_line import SEVERITY_STYLES
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.rows.durations import duration_text
from sensorwatch.common.runtime.console import SafeConsole, styled
from sensorwatch.common.verdicts.verdict import VerdictRecord
from sensorwatch.episodes.episode_view import EpisodeView, SignalSeries

COLUMNS = ("begin", "sensor", "severity", "state", "rows", "score", "pattern", "reason", "id")
PLOT_WIDTH = 60
"""Largest number of characters of a plot."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_LABEL_WIDTH = 10


def list_cells(episode: EpisodeState) -> tuple[str, ...]:
    """Return the cells of an episode in the list, in the order of COLUMNS."""
    return (
        time_text(episode.begin),
        episode.sensor_id,
        episode.severity,
        state_text(episode),
        str(episode.rows),
        f"{episode.peak:.2f}",
        episode.pattern,
        episode.message,
        episode.id,
    )


def state_text(episode: EpisodeState) -> str:
    """Return whether the episode is open or closed, and its duration so far."""
    duration = duration_text(((episode.end or episode.last) - episode.begin).total_seconds())
    if episode.is_open:
        return f"open{', accepted' if episode.is_accepted else ''}, {duration} so far"
    return f"closed after {duration}"


def time_text(time: datetime) -> str:
    """Return a time in UTC to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def print_view(view: EpisodeView, console: SafeConsole) -> None:
    """Print everything that is known about an episode."""
    episode = view.episode
    style = SEVERITY_STYLES.get(episode.severity, "")
    console.print(
        styled(
            (f" {episode.severity} ", style),
            "  ",
            (episode.sensor_id, "bold cyan"),
            f"  {state_text(episode)}",
        )
    )
    console.print(styled((episode.message or "no sentence in the events", "bold")))
    console.print()
    for label, text in _facts(view):
        console.print(styled((f"{label:<{_LABEL_WIDTH}}", "dim"), text), soft_wrap=True)
    console.print()
    console.print(styled(("timeline", "bold")))
    for step in episode.steps:
        console.print(
            styled(
                (f"  {time_text(step.time)}  ", "dim"),
                f"{step.kind:<9}",
                (f"{step.severity:<9}", SEVERITY_STYLES.get(step.severity, "")),
                f" {step.message}",
            ),
            soft_wrap=True,
        )
    console.print()
    if view.rows_note:
        console.print(styled((f"{view.rows_note}. The plot shows the events only.", "yellow")))
    for series in view.series:
        for line in plot_lines(series):
            console.print(styled(line), soft_wrap=True)


def _facts(view: EpisodeView) -> Iterator[tuple[str, str]]:
    episode, incident = view.episode, view.incident
    yield "id", episode.id
    if episode.group:
        yield "group", episode.group
    yield "begin", time_text(episode.begin)
    if episode.end is not None:
        yield "end", time_text(episode.end)
    yield "rows", f"{episode.rows}, highest score {episode.peak:.2f}"
    yield "pattern", episode.pattern or "not in the events that the topic still has"
    if episode.suppressed != "none":
        yield "suppressed", episode.suppressed
    yield "model", episode.model_version
    if view.verdict is not None:
        yield "verdict", verdict_text(view.verdict)
    if len(incident.episodes) > 1:
        yield "incident", incident.message
        for member in incident.episodes:
            if member.id != episode.id:
                yield "", f"{member.id}  {member.sensor_id}  {member.severity}  {member.message}"


def verdict_text(record: VerdictRecord) -> str:
    """Return the verdict with its user, time and note."""
    note = f": {record.note}" if record.note else ""
    return f"{record.verdict} (by {record.who} at {record.when}){note}"


def plot_lines(series: SignalSeries) -> Iterator[str]:
    """Yield the lines of a plot of one signal: the values, and marks below the episode's rows.

    If there are more rows than PLOT_WIDTH, each character shows a group of rows: the value of the
    group that is farthest from the median of all values.
    """
    finite_values = [value for value in series.values if isfinite(value)]
    if not finite_values:
        yield f"{series.name}: no values"
        return
    low, high = min(finite_values), max(finite_values)
    last_band = next((band for band in reversed(series.bands) if band is not None), None)
    band_text = "" if last_band is None else f", expected {last_band[0]:.4g} to {last_band[1]:.4g}"
    yield f"{series.name}  {low:.4g} to {high:.4g}{band_text}"
    median = sorted(finite_values)[len(finite_values) // 2]
    cells, marks = [], []
    for first, end in _groups(len(series.values)):
        group = [value for value in series.values[first:end] if isfinite(value)]
        cells.append(_block(max(group, key=lambda v: abs(v - median)), low, high) if group else " ")
        marks.append("^" if any(series.in_episode[first:end]) else " ")
    yield f"  {''.join(cells)}"
    yield f"  {''.join(marks).rstrip()}"


def _groups(count: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the end index of at most PLOT_WIDTH groups of positions."""
    group_count = min(count, PLOT_WIDTH)
    for number in range(group_count):
        yield number * count // group_count, (number + 1) * count // group_count


def _block(value: float, low: float, high: float) -> str:
    if high == low:
        return _BLOCKS[0]
    return _BLOCKS[min(int((value - low) / (high - low) * len(_BLOCKS)), len(_BLOCKS) - 1)]
