"""The alarm episodes of a stream of events: one entry per episode, updated in place."""

from dataclasses import dataclass
from typing import TypeVar

from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import episode_id
from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    MessageEvent,
    StaleEvent,
)
from sensorwatch.common.alarms.severity import severity_rank

T = TypeVar("T")

MAX_EPISODES = 10_000
"""The board remembers at most this number of episodes, the newest ones."""


@dataclass(frozen=True, slots=True)
class EpisodeEntry:
    """The newest state of an episode."""

    severity: str
    """Highest severity of the episode so far."""
    event: AnyEvent
    """The event that changed the entry last."""
    alarm: Event | None
    """The event in which the episode reached its severity; None if it was not read."""
    previous_severity: str = ""
    """The severity before the last rise; empty before the first rise."""

    @property
    def is_closed(self) -> bool:
        """Return whether the episode, or the silence of a sensor, has ended."""
        return isinstance(self.event, ClosingEvent | BackEvent)

    @property
    def is_accepted(self) -> bool:
        """Return whether the newest event of the episode accepted its level."""
        return isinstance(self.event, AcceptedEvent)


class EpisodeBoard:
    """Shows the episodes of the selected events; an `EpisodeBook` says which events change them."""

    def __init__(self, selection: EventSelection) -> None:
        self._selection = selection
        self._book = EpisodeBook(MAX_EPISODES)
        self._entries: dict[str, EpisodeEntry] = {}
        self._hidden: dict[str, None] = {}
        self.hidden_count = 0
        """Number of episodes that were not shown, because their severity is too low."""

    def add(self, event: AnyEvent) -> EpisodeEntry | None:
        """Add an event. Return the entry of its episode if it is new or changed."""
        if not self._selection.has_selected_sensor_and_time(event):
            return None
        episode = episode_id(event)
        if not self._selection.is_severe_enough(event):
            self._hide(episode, event)
            return None
        if episode in self._hidden:
            del self._hidden[episode]
            self.hidden_count -= 1
        entry = self._entries.get(episode)
        if not self._changes(event, entry):
            return None
        changed_entry = _entry_after(entry, event)
        self._entries.pop(episode, None)  # the newest change is the last entry
        self._entries[episode] = changed_entry
        _drop_oldest(self._entries)
        return changed_entry

    def entries(self, lines: int) -> list[EpisodeEntry]:
        """Return the most important episodes: open ones first, then by severity, newest first."""
        newest_first = reversed(self._entries.values())
        by_importance = sorted(
            newest_first, key=lambda entry: (entry.is_closed, -severity_rank(entry.severity))
        )
        return by_importance[:lines]

    def _changes(self, event: AnyEvent, entry: EpisodeEntry | None) -> bool:
        """Return whether an event changes a shown value: it is a new step of its episode."""
        if isinstance(event, StaleEvent):
            return entry is None
        old_state = self._book.state_of(event)
        state = self._book.add(event)
        if state is None or (old_state is not None and state.steps is old_state.steps):
            return False
        # A level is accepted step by step, and only the first acceptance is shown.
        return not (isinstance(event, AcceptedEvent) and entry is not None and entry.is_accepted)

    def _hide(self, episode: str, event: AnyEvent) -> None:
        if episode not in self._hidden:
            self._hidden[episode] = None
            self.hidden_count += 1
        if isinstance(event, ClosingEvent):
            del self._hidden[episode]
        _drop_oldest(self._hidden)


def _entry_after(entry: EpisodeEntry | None, event: AnyEvent) -> EpisodeEntry:
    """Return the entry after an event that changes it."""
    if isinstance(event, MessageEvent):
        return EpisodeEntry(event.severity, event, None)
    if not isinstance(event, Event):
        return EpisodeEntry(event.severity, event, None if entry is None else entry.alarm)
    if entry is None:
        return EpisodeEntry(event.severity, event, event)
    is_higher = severity_rank(event.severity) > severity_rank(entry.severity)
    previous_severity = entry.severity if is_higher else entry.previous_severity
    return EpisodeEntry(event.severity, event, event, previous_severity)


def _drop_oldest(entries: dict[str, T]) -> None:
    if len(entries) > MAX_EPISODES:
        del entries[next(iter(entries))]
