"""The alarm episodes of a stream of events: one entry per episode, updated in place."""

from dataclasses import dataclass
from typing import TypeVar

from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.common.alarms.episode_states import episode_id
from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    MessageEvent,
)
from sensorwatch.common.alarms.severity import severity_rank

T = TypeVar("T")

ANOTHER_FAULT = "change"
"""Value of `Event.news` if an episode shows another fault; its severity may stay the same."""
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
    """Follows the episodes of the selected events."""

    def __init__(self, selection: EventSelection) -> None:
        self._selection = selection
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
        changed_entry = _changed(entry, event)
        if changed_entry is not None:
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

    def _hide(self, episode: str, event: AnyEvent) -> None:
        if episode not in self._hidden:
            self._hidden[episode] = None
            self.hidden_count += 1
        if isinstance(event, ClosingEvent):
            del self._hidden[episode]
        _drop_oldest(self._hidden)


def _changed(entry: EpisodeEntry | None, event: AnyEvent) -> EpisodeEntry | None:
    """Return the entry after an event, or None if no shown value changes."""
    if isinstance(event, ClosingEvent):
        if entry is not None and entry.is_closed:
            return None
        return EpisodeEntry(event.severity, event, None if entry is None else entry.alarm)
    if isinstance(event, AcceptedEvent):
        if entry is not None and (entry.is_closed or entry.is_accepted):
            return None
        return EpisodeEntry(event.severity, event, None if entry is None else entry.alarm)
    if isinstance(event, MessageEvent):
        if entry is not None and (entry.is_closed or not isinstance(event, BackEvent)):
            return None
        return EpisodeEntry(event.severity, event, None)
    if entry is None:
        return EpisodeEntry(event.severity, event, event)
    is_higher = severity_rank(event.severity) > severity_rank(entry.severity)
    if entry.is_closed or not (is_higher or event.news == ANOTHER_FAULT):
        return None
    previous_severity = entry.severity if is_higher else entry.previous_severity
    return EpisodeEntry(event.severity, event, event, previous_severity)


def _drop_oldest(entries: dict[str, T]) -> None:
    if len(entries) > MAX_EPISODES:
        del entries[next(iter(entries))]
