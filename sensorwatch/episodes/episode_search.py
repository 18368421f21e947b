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


class EpisodeReader:
    """Reads the events of a topic once, and keeps those of the episode that `text` identifies.

    `text` is the id of an episode, the id of one of its events, or the begin of its id. Only the
    events of the possible episodes are kept in memory.
    """

    def __init__(self, text: str) -> None:
        self.book = EpisodeBook(MAX_EPISODES)
        self._text = text
        self._events: dict[str, list[AnyEvent]] = {}
        """The events of each possible episode, by its id."""
        self._id_of_event = ""
        """Id of the episode of the event with the id `text`."""

    def add(self, event: AnyEvent) -> None:
        """Add an event, in the order of its partition."""
        self.book.add(event)
        if isinstance(event, StaleEvent):
            return
        known_id = episode_id(event)
        if event.event_id == self._text:
            self._id_of_event = self._id_of_event or known_id
        # With two episodes whose ids begin with the text, the text is ambiguous.
        is_possible = known_id.startswith(self._text) and len(self._events) <= 1
        if known_id == self._text or known_id in self._events or is_possible:
            self._events.setdefault(known_id, []).append(event)

    def find(self) -> EpisodeState:
        """Return the episode that the text identifies.

        Raises UsageError if there is no such episode, or if several ids begin with the text.
        """
        # Longer ids may begin with the id of an event, so the event with this very id comes first.
        episode = self.book.get(self._text) or self.book.get(self._id_of_event)
        if episode is not None:
            return episode
        return _find_by_begin(self.book, self._text)

    def events(self, episode: EpisodeState) -> Sequence[AnyEvent] | None:
        """Return the events of an episode; None if not all of them were kept.

        The events before the one that identified the episode are not kept.
        """
        if episode.id.startswith(self._text):
            return self._events.get(episode.id)
        return None


def _find_by_begin(book: EpisodeBook, text: str) -> EpisodeState:
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


def read_episode_events(kafka: Mapping[str, Any], topic: str, text: str) -> EpisodeReader:
    """Return a reader that has read the topic, for the episode that `text` identifies."""
    reader = EpisodeReader(text)
    for event in read_events(kafka, topic):
        reader.add(event)
    return reader
