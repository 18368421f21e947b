"""Find episodes in the anomaly topic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState, episode_id
from sensorwatch.common.alarms.events import AnyEvent, StaleEvent, read_event
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.topic_reader import read_topic

MAX_EPISODES = 200_000
"""A command keeps at most this number of episodes in memory: the open and the newest ones."""
_MAX_NAMED_MATCHES = 5


@dataclass(frozen=True, slots=True)
class EpisodeSelection:
    """The episodes to show."""

    lowest_severity: str
    sensor_pattern: str = "*"
    """Shell pattern that the sensor id must match."""
    since: int | None = None
    """Earliest time of the newest event, microseconds UTC."""
    is_open_only: bool = False

    def has(self, episode: EpisodeState) -> bool:
        """Return whether the episode is selected."""
        return (
            severity_rank(episode.severity) >= severity_rank(self.lowest_severity)
            and fnmatchcase(episode.sensor_id, self.sensor_pattern)
            and (self.since is None or _microseconds(episode.last) >= self.since)
            and (episode.is_open or not self.is_open_only)
        )


def read_events(kafka: Mapping[str, Any], topic: str) -> Iterator[AnyEvent]:
    """Yield the events that the anomaly topic has now; other records are left out.

    Raises BrokerUnavailable if the topic cannot be read.
    """
    for message in read_topic(kafka, topic):
        event = read_event(message)
        if event is not None:
            yield event


def read_book(kafka: Mapping[str, Any], topic: str) -> EpisodeBook:
    """Return the newest state of all episodes of the topic."""
    book = EpisodeBook(MAX_EPISODES)
    for event in read_events(kafka, topic):
        book.add(event)
    return book


def selected_episodes(book: EpisodeBook, selection: EpisodeSelection) -> list[EpisodeState]:
    """Return the selected episodes: open ones first, then by severity, newest first."""
    episodes = [episode for episode in book.episodes() if selection.has(episode)]
    episodes.sort(key=lambda episode: episode.begin, reverse=True)
    return sorted(
        episodes, key=lambda episode: (not episode.is_open, -severity_rank(episode.severity))
    )


def find_episode(book: EpisodeBook, events: Iterator[AnyEvent], text: str) -> EpisodeState:
    """Return the episode that `text` identifies.

    `text` is its id, the id of one of its events, or the begin of its id.

    `events`: the events of the topic, which are read only if no episode has such an id. Raises
    UsageError if there is no such episode, or if several ids begin with `text`.
    """
    exact_match = book.get(text)
    if exact_match is not None:
        return exact_match
    # Longer ids may begin with the id of an event, so the event with this very id comes first.
    for event in events:
        if not isinstance(event, StaleEvent) and event.event_id == text:
            episode = book.get(episode_id(event))
            if episode is not None:
                return episode
    matches = [episode for episode in book.episodes() if episode.id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UsageError(
            f'no episode with the id "{text}": wanted the id of an episode or of one of its '
            "events; `sensorwatch episodes list --severity info` lists all episodes that the topic "
            "still has"
        )
    named_matches = ", ".join(episode.id for episode in matches[:_MAX_NAMED_MATCHES])
    raise UsageError(
        f'{len(matches)} episodes have an id that begins with "{text}", such as {named_matches}: '
        "give the complete id"
    )


def events_of_episode(events: Iterator[AnyEvent], wanted_id: str) -> Sequence[AnyEvent]:
    """Return the events of one episode, in the order of the topic."""
    return [
        event
        for event in events
        if not isinstance(event, StaleEvent) and episode_id(event) == wanted_id
    ]


def _microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
