"""The state of an episode, and how each event of the episode changes it."""

from dataclasses import dataclass, replace
from datetime import datetime

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    Signal,
    SilentEvent,
    Source,
    StaleEvent,
    event_instant,
)
from sensorwatch.common.alarms.excursion import NO_EXCURSION, Excursion, next_excursion
from sensorwatch.common.alarms.severity import severity_rank

MAX_STEPS = 100
"""Each episode remembers at most this number of steps: its first step and the newest ones."""
SILENT_PATTERN = "silent"
"""The pattern of an episode in which a sensor sends no rows."""
EpisodeEvent = Event | ClosingEvent | AcceptedEvent | SilentEvent | BackEvent
"""The events of an episode or of a silence."""
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
    excursion: Excursion = NO_EXCURSION
    """The deviations of the signals in the events that were read."""

    @property
    def is_open(self) -> bool:
        """Return whether no event with the end of the episode was read yet."""
        return self.end is None


def episode_id(event: AnyEvent) -> str:
    """Return the id of the episode of an event; the event's id if it has no episode."""
    known_id = event.episode.id if isinstance(event, Event) else event.episode_id
    return known_id or event.event_id


def next_state(state: EpisodeState | None, event: AnyEvent) -> EpisodeState | None:
    """Return the state after an event; None if the event does not change the state.

    `state`: None if no event of the episode was read before.
    """
    if isinstance(event, StaleEvent) or (state is not None and not state.is_open):
        return None
    if isinstance(event, SilentEvent):
        return _silent_state(event) if state is None else None
    if isinstance(event, BackEvent):
        return _back_state(state, event)
    if state is None:
        state = _first_state(event)
    elif _was_added_before(event, state):
        return None
    if isinstance(event, ClosingEvent):
        return _closed_state(state, event)
    if isinstance(event, AcceptedEvent):
        return _accepted_state(state, event)
    return _alarm_state(state, event)


def _was_added_before(event: Event | ClosingEvent | AcceptedEvent, state: EpisodeState) -> bool:
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


def _first_state(event: EpisodeEvent) -> EpisodeState:
    """Return the state of an episode or a silence before its first event that was read."""
    start = _start_of(event)
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


def _start_of(event: EpisodeEvent) -> str:
    if isinstance(event, Event):
        return event.episode.start
    if isinstance(event, SilentEvent):
        return event.last
    return event.silent_since if isinstance(event, BackEvent) else event.start


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
        excursion=next_excursion(state.excursion, event),
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


def _silent_state(event: SilentEvent) -> EpisodeState:
    """Return the state of the silence of a sensor, which has no rows and no score."""
    state = _first_state(event)
    return replace(
        state,
        severity=event.severity,
        pattern=SILENT_PATTERN,
        message=event.message,
        steps=(EpisodeStep(state.last, "opened", event.severity, event.message),),
        last_source=event.source,
    )


def _back_state(state: EpisodeState | None, event: BackEvent) -> EpisodeState:
    """Return the state of a silence that ended with the row of the event."""
    if state is None:
        state = replace(_first_state(event), severity=event.severity, pattern=SILENT_PATTERN)
    time = event_instant(event.event_time)
    return replace(
        state,
        last=time,
        end=time,
        message=event.message,
        steps=_with_step(state, EpisodeStep(time, "closed", event.severity, event.message)),
        last_source=event.source,
    )
