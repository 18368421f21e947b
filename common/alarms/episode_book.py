"""Follows the episodes of the anomaly topic: the newest state of each episode."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    ClosingEvent,
    Event,
    Signal,
    Source,
    StaleEvent,
    event_instant,
)
from sensorwatch.common.alarms.severity import severity_rank

MAX_EPISODES = 20_000
"""The book remembers at most this number of episodes."""
MAX_STEPS = 100
"""Each episode remembers at most this number of steps: its first step and the newest ones."""
_STATUSES_WITHOUT_END = ("late", "duplicate")
"""Statuses of rows that are separate episodes, whose end is not published."""


@dataclass(frozen=True, slots=True)
class EpisodeStep:
    """A change of an episode."""

    time: datetime
    """Event time, UTC."""
    kind: str
    """`opened`, `raised`, `changed`, `accepted` or `closed`."""
    severity: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class EpisodeState:
    """The newest state of an episode. All times are event times in UTC."""

    id: str
    sensor_id: str
    group: str
    """Group of the sensor; empty if the schema declares no groups."""
    model_version: str
    begin: datetime
    """Time of the first anomalous row."""
    last: datetime
    """Time of the newest event."""
    severity: str
    """Highest severity of the episode so far."""
    peak: float
    """Highest anomaly score of the episode so far."""
    rows: int
    """Number of anomalous rows so far."""
    end: datetime | None = None
    """Time of the last anomalous row of a closed episode; None while the episode is open."""
    pattern: str = ""
    message: str = ""
    suppressed: str = "none"
    signals: tuple[Signal, ...] = ()
    """The signals of the row in which the episode reached its severity."""
    is_accepted: bool = False
    steps: tuple[EpisodeStep, ...] = ()
    """The changes of the episode, in order."""
    first_source: Source | None = None
    """Input record of the oldest event that was read."""
    last_source: Source | None = None
    """Input record of the newest event that was read."""

    @property
    def is_open(self) -> bool:
        """Return whether the end of the episode was not read yet."""
        return self.end is None


class EpisodeBook:
    """Keeps the newest state of each episode, for at most `max_episodes` episodes.

    If there are more episodes, the closed episode without an event for the longest time is dropped
    first. If every episode is open, the open episode without an event for the longest time is
    dropped.
    """

    def __init__(self, max_episodes: int = MAX_EPISODES) -> None:
        self._max_episodes = max_episodes
        # Both mappings are in the order of the newest events.
        self._open: dict[str, EpisodeState] = {}
        self._closed: dict[str, EpisodeState] = {}
        self.dropped_count = 0
        """Number of open episodes that were dropped."""

    def add(self, event: AnyEvent) -> EpisodeState | None:
        """Add an event in the order of its partition. Return its episode if the episode changed.

        An event that was added before, and an event without an episode, change nothing.
        """
        if isinstance(event, StaleEvent):
            return None
        known_state = self.state_of(event)
        state = _next_state(known_state, event)
        if state is None or (known_state is not None and not known_state.is_open):
            return None
        self._open.pop(state.id, None)
        (self._open if state.is_open else self._closed)[state.id] = state
        self._drop_oldest()
        return state

    def get(self, episode_id: str) -> EpisodeState | None:
        """Return the state of an episode, or None if the book does not have it."""
        return self._open.get(episode_id) or self._closed.get(episode_id)

    def state_of(self, event: AnyEvent) -> EpisodeState | None:
        """Return the state of the episode of an event, or None if the book does not have it."""
        return self.get(episode_id(event))

    def episodes(self) -> Iterator[EpisodeState]:
        """Yield all episodes: the closed ones, then the open ones."""
        yield from self._closed.values()
        yield from self._open.values()

    def open_episodes(self) -> Iterator[EpisodeState]:
        """Yield the open episodes, in the order of their newest events."""
        yield from self._open.values()

    def restore(self, state: EpisodeState) -> None:
        """Add the stored state of an episode, as the state after its newest event."""
        self.forget(state.id)
        (self._open if state.is_open else self._closed)[state.id] = state
        self._drop_oldest()

    def forget(self, episode_id: str) -> None:
        """Remove an episode if the book has it."""
        self._open.pop(episode_id, None)
        self._closed.pop(episode_id, None)

    def _drop_oldest(self) -> None:
        if len(self._open) + len(self._closed) <= self._max_episodes:
            return
        if self._closed:
            del self._closed[next(iter(self._closed))]
        else:
            del self._open[next(iter(self._open))]
            self.dropped_count += 1


def episode_id(event: AnyEvent) -> str:
    """Return the id of the episode of an event; the event's id if it has no episode."""
    known_id = event.episode.id if isinstance(event, Event) else event.episode_id
    return known_id or event.event_id


def _next_state(
    state: EpisodeState | None, event: Event | ClosingEvent | AcceptedEvent
) -> EpisodeState | None:
    """Return the state after an event; None if the event is older than the state."""
    if state is None:
        state = _first_state(event)
    elif _is_old(event, state):
        return None
    if isinstance(event, ClosingEvent):
        return _closed_state(state, event)
    if isinstance(event, AcceptedEvent):
        return _accepted_state(state, event)
    return _alarm_state(state, event)


def _is_old(event: Event | ClosingEvent | AcceptedEvent, state: EpisodeState) -> bool:
    """Return whether an event was added before."""
    if isinstance(event, ClosingEvent):
        return False
    rows = event.episode.rows if isinstance(event, Event) else event.rows
    if isinstance(event, AcceptedEvent) or event.news:
        # Such an event can have the row of the newest event, so its step is compared.
        newest_step = state.steps[-1] if state.steps else None
        step = (event_instant(event.event_time), event.severity)
        is_newest = newest_step is not None and (newest_step.time, newest_step.severity) == step
        return rows < state.rows or (rows == state.rows and is_newest)
    return rows <= state.rows


def _first_state(event: Event | ClosingEvent | AcceptedEvent) -> EpisodeState:
    """Return the state of an episode before its first event that was read."""
    start = event.episode.start if isinstance(event, Event) else event.start
    time = event_instant(event.event_time)
    return EpisodeState(
        id=episode_id(event),
        sensor_id=event.sensor_id,
        group=event.group,
        model_version=event.model_version,
        begin=event_instant(start) if start else time,
        last=time,
        severity="",
        peak=0.0,
        rows=0,
        first_source=event.source,
    )


def _alarm_state(state: EpisodeState, event: Event) -> EpisodeState:
    is_higher = severity_rank(event.severity) > severity_rank(state.severity) or not state.severity
    if not state.steps:
        kind = "opened"
    elif is_higher:
        kind = "raised"
    else:
        kind = "changed" if event.news else ""
    time = event_instant(event.event_time)
    step = EpisodeStep(time, kind, event.severity, event.message)
    return replace(
        state,
        last=time,
        severity=event.severity if is_higher else state.severity,
        peak=max(state.peak, event.worst_score),
        rows=max(state.rows, event.episode.rows),
        end=time if event.status in _STATUSES_WITHOUT_END else None,
        pattern=event.pattern,
        message=event.message or state.message,
        suppressed=event.suppressed,
        signals=tuple(event.signals) if is_higher else state.signals,
        steps=_with_step(state, step) if kind else state.steps,
        last_source=event.source,
    )


def _accepted_state(state: EpisodeState, event: AcceptedEvent) -> EpisodeState:
    time = event_instant(event.event_time)
    return replace(
        state,
        last=time,
        severity=state.severity or event.severity,
        rows=max(state.rows, event.rows),
        is_accepted=True,
        steps=_with_step(state, EpisodeStep(time, "accepted", event.severity)),
        last_source=event.source,
    )


def _closed_state(state: EpisodeState, event: ClosingEvent) -> EpisodeState:
    time = event_instant(event.event_time)
    return replace(
        state,
        last=time,
        severity=event.severity,
        peak=event.peak,
        rows=event.rows,
        end=event_instant(event.last) if event.last else time,
        suppressed=event.suppressed,
        steps=_with_step(state, EpisodeStep(time, "closed", event.severity)),
        last_source=event.source,
    )


def _with_step(state: EpisodeState, step: EpisodeStep) -> tuple[EpisodeStep, ...]:
    steps = (*state.steps, step)
    return steps if len(steps) <= MAX_STEPS else (steps[0], *steps[2:])
