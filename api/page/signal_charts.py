"""The signals of one sensor over the window: values, expected band and alarms."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sensorwatch.api.page.history_plot import AlarmMark, history_plot
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import moment_of
from sensorwatch.api.page.score_cells import combine_signal_cells, empty_signal_cells
from sensorwatch.api.page.score_history import SignalHistory
from sensorwatch.api.page.signal_plots import TimelinePoint
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import AnyEvent, Event, event_instant

MAX_CHARTS, MAX_POINTS, MAX_TABLE_ROWS = 8, 360, 24
_BAND = ("expected", "expected_low", "expected_high")


@dataclass(frozen=True, slots=True)
class ChartRow:
    """The numbers of a signal in a part of the window, as a line of a table."""

    begin: datetime
    minimum: float
    mean: float
    """NaN for an angle."""
    maximum: float
    expected_low: float
    """NaN for an angle, and if the model expects no value."""
    expected_high: float


@dataclass(frozen=True, slots=True)
class SignalChart:
    """A signal over the window."""

    name: str
    svg: Markup
    lowest: float
    highest: float
    alarms: int
    """Number of known events in which the signal was outside its band."""
    rows: tuple[ChartRow, ...]
    """The same numbers in at most MAX_TABLE_ROWS parts, oldest first."""


@dataclass(frozen=True, slots=True)
class SignalCharts:
    """The signals of one sensor over the window."""

    begin: datetime
    end: datetime
    charts: tuple[SignalChart, ...]
    """The signal that was outside its band most often comes first."""
    signal_count: int
    """Number of signals, including those without a chart."""


def signal_charts(state: PageState, sensor_id: str) -> SignalCharts:
    """Return the charts of a sensor; without scores, there are none."""
    window = state.window
    episodes, events = state.episodes_of(sensor_id), state.events_of(sensor_id)
    points = _points_outside(events, window[0])
    histories = [
        _with_band_before(history, episodes, state.scores.history.signal_step_seconds)
        for history in state.scores.history.signals_of(sensor_id)
    ]
    counts = Counter({name: len(signal_points) for name, signal_points in points.items()})
    histories.sort(key=lambda history: (-counts[history.name], -_share_outside(history)))
    marks = _alarm_marks(state, sensor_id)
    charts = tuple(
        _chart(history, window, points.get(history.name, []), marks)
        for history in histories[:MAX_CHARTS]
    )
    return SignalCharts(moment_of(window[0]), moment_of(window[1]), charts, len(histories))


def merged_points(history: SignalHistory, max_points: int) -> SignalHistory:
    """Return a history in which neighbouring time steps are combined to at most `max_points`."""
    size = -(-len(history.begins) // max_points)
    if size <= 1:
        return history
    groups = -(-len(history.begins) // size)
    empty = empty_signal_cells(1, groups * size, 1)
    padded = {name: column[0, :, 0] for name, column in empty.items()}
    for name, column in history.columns.items():
        padded[name][: len(column)] = column
    merged = {name: column[0::size] for name, column in padded.items()}
    for position in range(1, size):
        part = {name: column[position::size] for name, column in padded.items()}
        merged = combine_signal_cells(merged, part)
    return SignalHistory(history.name, history.begins[::size], merged)


def _with_band_before(
    history: SignalHistory, episodes: Sequence[EpisodeState], step_seconds: int
) -> SignalHistory:
    """Return a history whose bands in an episode are the band before the episode.

    The bands in an episode may follow the anomalous values.
    """
    in_episode = np.zeros(len(history.begins), bool)
    for episode in episodes:
        end = np.inf if episode.end is None else episode.end.timestamp()
        begins = history.begins
        in_episode |= (begins + step_seconds > episode.begin.timestamp()) & (begins <= end)
    positions = np.where(in_episode, -1, np.arange(len(in_episode)))
    source = np.maximum.accumulate(positions)
    # If the window begins within an episode, the band before the episode is not known.
    source = np.where(source < 0, np.arange(len(source)), source)
    return replace(
        history, columns=history.columns | {name: history.columns[name][source] for name in _BAND}
    )


def _share_outside(history: SignalHistory) -> float:
    columns = history.columns
    low, high = columns["expected_low"], columns["expected_high"]
    return float(np.mean((columns["mean"] < low) | (columns["mean"] > high)))


def _points_outside(events: Sequence[AnyEvent], begin: float) -> dict[str, list[TimelinePoint]]:
    """Return the values outside their bands in the events after `begin`, by signal."""
    points: dict[str, list[TimelinePoint]] = {}
    for event in events:
        if not isinstance(event, Event):
            continue
        seconds = event_instant(event.event_time).timestamp()
        for signal in event.signals:
            if signal.direction != "within" and seconds >= begin:
                point = TimelinePoint(seconds, signal.actual, event.severity)
                points.setdefault(signal.name, []).append(point)
    return points


def _alarm_marks(state: PageState, sensor_id: str) -> list[AlarmMark]:
    """Return the time steps with an alarm."""
    lane = state.scores.history.lane_of(sensor_id)
    if lane is None:
        return []
    step = state.scores.history.step_seconds
    return [
        AlarmMark(cell.begin, cell.begin + step, cell.severity)
        for cell in lane.cells
        if cell.rank > 0
    ]


def _chart(
    history: SignalHistory,
    window: tuple[float, float],
    points: Sequence[TimelinePoint],
    marks: Sequence[AlarmMark],
) -> SignalChart:
    columns = history.columns
    return SignalChart(
        history.name,
        history_plot(merged_points(history, MAX_POINTS), window, points, marks),
        float(columns["minimum"].min()),
        float(columns["maximum"].max()),
        len(points),
        tuple(_table_rows(merged_points(history, MAX_TABLE_ROWS))),
    )


def _table_rows(history: SignalHistory) -> list[ChartRow]:
    names = ("minimum", "mean", "maximum", "expected_low", "expected_high")
    numbers: list[NDArray[np.float32]] = [history.columns[name] for name in names]
    lists = [column.tolist() for column in numbers]
    moments = [moment_of(begin) for begin in history.begins.tolist()]
    return [ChartRow(*row) for row in zip(moments, *lists, strict=True)]
