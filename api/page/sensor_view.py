"""What the page of one sensor shows: episodes, plots of its signals, and events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import moment_of
from sensorwatch.api.page.signal_plots import TimelinePoint, timeline_plot
from sensorwatch.common.alarms.episode_states import EpisodeState, episode_id
from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    Signal,
    SilentEvent,
    StaleEvent,
    event_instant,
)

_NEWS_TEXTS = {"severity": "severity is higher", "change": "another signal is odd"}
_MESSAGE_KINDS = {
    StaleEvent: "model no longer fits",
    SilentEvent: "sends no rows",
    BackEvent: "sends rows again",
}
MAX_PLOTS, MAX_EPISODES, MAX_EVENTS = 8, 50, 100


@dataclass(frozen=True, slots=True)
class SignalPlot:
    """The values of a signal in an episode, with the band that was expected when it began."""

    name: str
    svg: Markup
    begin: datetime
    end: datetime
    expected_low: float
    expected_high: float
    lowest: float
    """Lowest value in an event."""
    highest: float


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a line of a table."""

    time: datetime
    kind: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class SensorView:
    """What the page of one sensor shows."""

    sensor_id: str
    episodes: tuple[EpisodeState, ...]
    """Newest first."""
    drawn_episode: EpisodeState | None
    """The episode of the plots."""
    plots: tuple[SignalPlot, ...]
    """The plot of the signal that was outside its band most often comes first."""
    events: tuple[EventLine, ...]
    """Newest first."""
    event_count: int

    @property
    def is_known(self) -> bool:
        """Return whether the window has any event of the sensor."""
        return self.event_count > 0 or bool(self.episodes)


def sensor_view(state: PageState, sensor_id: str, episode_id: str = "") -> SensorView:
    """Return the view of a sensor.

    `episode_id`: the episode whose signals are drawn. If no episode has this id, the newest open
    episode is drawn, or the newest one if none is open.
    """
    events = state.events_of(sensor_id)
    episodes = tuple(reversed(state.episodes_of(sensor_id)))
    drawn_episode = _drawn_episode(episodes, episode_id)
    return SensorView(
        sensor_id,
        episodes[:MAX_EPISODES],
        drawn_episode,
        tuple(_plots(events, drawn_episode)) if drawn_episode is not None else (),
        tuple(_event_line(event) for event in reversed(events[-MAX_EVENTS:])),
        len(events),
    )


def _drawn_episode(episodes: Sequence[EpisodeState], episode_id: str) -> EpisodeState | None:
    candidates = [episode for episode in episodes if episode.id == episode_id]
    candidates += [episode for episode in episodes if episode.is_open]
    return next(iter([*candidates, *episodes]), None)


def _plots(events: Sequence[AnyEvent], episode: EpisodeState) -> list[SignalPlot]:
    """Return a plot of each signal in the events of an episode."""
    points: dict[str, list[TimelinePoint]] = {}
    first_signals: dict[str, Signal] = {}
    outside_counts: Counter[str] = Counter()
    for event in events:
        if not isinstance(event, Event) or episode_id(event) != episode.id:
            continue
        seconds = event_instant(event.event_time).timestamp()
        for signal in event.signals:
            point = TimelinePoint(seconds, signal.actual, event.severity)
            points.setdefault(signal.name, []).append(point)
            # The band of the first event is the band before the episode. Later bands may already
            # follow the anomalous values.
            first_signals.setdefault(signal.name, signal)
            outside_counts[signal.name] += signal.direction != "within"
    names = sorted(points, key=lambda name: (-outside_counts[name], name))[:MAX_PLOTS]
    return [_plot(points[name], first_signals[name]) for name in names]


def _plot(points: Sequence[TimelinePoint], first_signal: Signal) -> SignalPlot:
    times, values = [point.seconds for point in points], [point.value for point in points]
    low, high = first_signal.expected_low, first_signal.expected_high
    return SignalPlot(
        first_signal.name,
        timeline_plot(points, low, high),
        moment_of(min(times)),
        moment_of(max(times)),
        low,
        high,
        min(values),
        max(values),
    )


def _event_line(event: AnyEvent) -> EventLine:
    time = event_instant(event.event_time)
    if isinstance(event, Event):
        kind = _NEWS_TEXTS.get(event.news, event.news or "anomalous row")
        return EventLine(time, kind, event.severity, event.message)
    if isinstance(event, ClosingEvent):
        return EventLine(time, "ended", event.severity, f"after {event.rows} anomalous rows")
    if isinstance(event, AcceptedEvent):
        names = ", ".join(signal.name for signal in event.signals)
        message = f"new level of {names}" if names else "new scores"
        return EventLine(time, "accepted as usual", event.severity, message)
    return EventLine(time, _MESSAGE_KINDS[type(event)], event.severity, event.message)
