"""Follows the incidents of the anomaly topic, and what each target knows of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sensorwatch.common.alarms.episode_book import MAX_EPISODES, EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.common.alarms.incidents import Incident, group_key, incidents_of
from sensorwatch.common.alarms.severity import severity_rank


@dataclass(frozen=True, slots=True)
class Notice:
    """What a target knows of the incident of an episode. Times are of this computer's clock."""

    incident_id: str
    """The id under which the target knows the incident."""
    severity: str = ""
    """The last severity that was sent; empty before the first message has arrived."""
    opened_at: datetime | None = None
    """Time of the first message that arrived."""
    closed_at: datetime | None = None
    """Time of the first message about the end that arrived."""
    is_done: bool = False
    """Whether no further message is needed."""
    attempt: str = ""
    """Id of the message that is being sent, or that may have arrived; empty if there is none."""


@dataclass(frozen=True, slots=True)
class TrackedEpisode:
    """An episode, with what each target knows of its incident."""

    state: EpisodeState
    received_at: datetime
    """Kafka timestamp of the newest event."""
    notices: dict[str, Notice] = field(default_factory=dict)
    """The notices by the key of the target."""

    @property
    def last(self) -> datetime:
        """Event time of the newest event; the Kafka timestamp if the event time is later."""
        return min(self.state.last, self.received_at)


class IncidentBook:
    """Keeps the incidents, and computes the incidents of changed episodes again."""

    def __init__(self, min_severity: str = "info", *, max_episodes: int = MAX_EPISODES) -> None:
        """Create an empty book.

        Episodes below `min_severity` are not part of an incident. In a large group some episode
        is nearly always open, and would connect incidents that have nothing in common.
        """
        self._min_rank = severity_rank(min_severity)
        self._max_episodes = max_episodes
        self._book = EpisodeBook(max_episodes)
        self._received_at: dict[str, datetime] = {}
        self._notices: dict[str, dict[str, Notice]] = {}
        self._ids_by_group: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._incidents: dict[tuple[str, str], list[Incident]] = {}
        self._changed_groups: dict[tuple[str, str], None] = {}

    @property
    def dropped_count(self) -> int:
        """Number of open episodes that were dropped because the book was full."""
        return self._book.dropped_count

    def add(self, event: AnyEvent, received_at: datetime) -> EpisodeState | None:
        """Add an event in the order of its partition. Return its episode if it changed.

        `received_at`: the Kafka timestamp of its record.
        """
        state = self._book.add(event)
        if state is not None:
            self._received_at[state.id] = received_at
            self._register(state)
        return state

    def state_of(self, event: AnyEvent) -> EpisodeState | None:
        """Return the episode of an event as it is now, or None if it is not known."""
        return self._book.state_of(event)

    def restore(self, episode: TrackedEpisode) -> None:
        """Add an episode of an earlier process."""
        self._book.restore(episode.state)
        self._received_at[episode.state.id] = episode.received_at
        if episode.notices:
            self._notices[episode.state.id] = dict(episode.notices)
        self._register(episode.state)

    def incidents(self) -> Iterator[Incident]:
        """Yield all incidents, by group, in the order of their begin."""
        for key in list(self._changed_groups):
            self._compute_group(key)
        self._changed_groups.clear()
        for incidents in self._incidents.values():
            yield from incidents

    def incident_of(self, state: EpisodeState) -> Incident | None:
        """Return the incident that contains an episode, or None if the book dropped it."""
        key = group_key(state)
        if key in self._changed_groups:
            self._compute_group(key)
            self._changed_groups.pop(key, None)
        for incident in reversed(self._incidents.get(key, [])):
            if any(episode.id == state.id for episode in incident.episodes):
                return incident
        return None

    def last(self, incident: Incident) -> datetime:
        """Return the time of an incident's newest event, see `TrackedEpisode.last`."""
        return max(self.tracked(state).last for state in incident.episodes)

    def saved_form(self, episode_id: str) -> TrackedEpisode | None:
        """Return an episode with its notices; None if it is not known or was never sent."""
        state = self._book.get(episode_id)
        return self.tracked(state) if state is not None and episode_id in self._notices else None

    def tracked(self, state: EpisodeState) -> TrackedEpisode:
        """Return an episode with its notices."""
        received_at = self._received_at.get(state.id, state.last)
        return TrackedEpisode(state, received_at, self._notices.get(state.id, {}))

    def notices(self, incident: Incident, target: str) -> list[Notice]:
        """Return what a target knows of the episodes of an incident, without repetitions."""
        notices = (self._notices.get(state.id, {}).get(target) for state in incident.episodes)
        return list(dict.fromkeys(notice for notice in notices if notice is not None))

    def has_notices(self, incident: Incident) -> bool:
        """Return whether an incident was sent to any target."""
        return any(state.id in self._notices for state in incident.episodes)

    def are_notices_done(self, incident: Incident) -> bool:
        """Return whether no target needs a further message of an incident."""
        return all(
            notice.is_done
            for state in incident.episodes
            for notice in self._notices.get(state.id, {}).values()
        )

    def set_notice(self, episode_ids: Iterable[str], target: str, notice: Notice) -> list[str]:
        """Record what a target knows of the incident of episodes; return the changed episodes."""
        changed_ids = []
        for episode_id in episode_ids:
            notices = self._notices.get(episode_id, {})
            if episode_id in self._received_at and notices.get(target) != notice:
                self._notices[episode_id] = {**notices, target: notice}
                changed_ids.append(episode_id)
        return changed_ids

    def close_open_episodes(self, incident: Incident) -> None:
        """Close the open episodes of an incident at the time of their newest event."""
        for state in incident.episodes:
            if state.is_open:
                closed_state = replace(state, end=max(state.begin, self.tracked(state).last))
                self._book.restore(closed_state)
                self._register(closed_state)

    def forget(self, incident: Incident) -> None:
        """Remove the episodes of an incident."""
        for state in incident.episodes:
            self._book.forget(state.id)
            self._forget_id(group_key(state), state.id)

    def forget_notices(self, known_targets: Iterable[str]) -> None:
        """Remove what is known of targets that are no longer in the settings."""
        targets = set(known_targets)
        for notices in self._notices.values():
            for target in set(notices) - targets:
                del notices[target]
        self._notices = {key: notices for key, notices in self._notices.items() if notices}

    def _register(self, state: EpisodeState) -> None:
        key = group_key(state)
        self._ids_by_group[key][state.id] = None
        self._changed_groups[key] = None
        if len(self._received_at) > 1.05 * self._max_episodes:
            # Compute every group again, which removes the episodes that the book has dropped.
            self._changed_groups.update(dict.fromkeys(self._ids_by_group))

    def _compute_group(self, key: tuple[str, str]) -> None:
        states = []
        for episode_id in list(self._ids_by_group.get(key, ())):
            state = self._book.get(episode_id)
            if state is None:
                self._forget_id(key, episode_id)
            elif severity_rank(state.severity) >= self._min_rank or episode_id in self._notices:
                states.append(state)
            elif not state.is_open:
                self._book.forget(episode_id)
                self._forget_id(key, episode_id)
        if states:
            self._incidents[key] = incidents_of(states)
        else:
            self._incidents.pop(key, None)
        if not self._ids_by_group.get(key):
            self._ids_by_group.pop(key, None)

    def _forget_id(self, key: tuple[str, str], episode_id: str) -> None:
        self._ids_by_group[key].pop(episode_id, None)
        self._received_at.pop(episode_id, None)
        self._notices.pop(episode_id, None)
        self._changed_groups[key] = None


def is_older(time: datetime, now: datetime, seconds: float) -> bool:
    """Return whether a time is more than `seconds` before `now`."""
    return now - time > timedelta(seconds=seconds)


def may_need_message(old_state: EpisodeState | None, state: EpisodeState) -> bool:
    """Return whether an episode has changed so that targets may need a message at once."""
    return old_state is None or (
        (state.severity, state.end, state.pattern)
        != (old_state.severity, old_state.end, old_state.pattern)
    )
