"""The state of the live page, which one thread writes and requests read."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sensorwatch.api.page.connection import Connection
from sensorwatch.api.page.lanes import Lane, Lanes
from sensorwatch.api.page.score_source import ScoreSource
from sensorwatch.api.page.sensor_events import SensorEvents
from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import (
    AnyEvent,
    ClosingEvent,
    Event,
    event_instant,
    read_event,
)
from sensorwatch.common.kafka.records import Record

CLOCK_TOLERANCE_SECONDS = 300
"""An event that is dated later than this after its arrival does not move the window of the page."""
STEPS_PER_WINDOW = 720
"""Number of time steps in the window of the lanes: one minute each for 12 hours."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event, and the time at which it was written to the anomaly topic."""

    event: AnyEvent
    written_at: float
    """Seconds since 1970 UTC."""


class PageState:
    """Episodes, lanes and events of the last `hours` hours. All methods may run in any thread."""

    def __init__(self, hours: float, *, clock: Callable[[], float] = time.time) -> None:
        self.window_seconds = int(hours * 3_600)
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = Connection()
        self._revision = 0
        self._first_step_seconds = max(self.window_seconds // STEPS_PER_WINDOW, 1)
        self.scores = ScoreSource(
            self.window_seconds,
            self._first_step_seconds,
            clock_tolerance_seconds=CLOCK_TOLERANCE_SECONDS,
        )
        """The scores of all rows, if there is a scores topic."""
        self._forget_events()

    @property
    def revision(self) -> int:
        """Return a number that grows with each change of the state."""
        return self._revision

    @property
    def connection(self) -> Connection:
        """Return what is known about the connection to Kafka."""
        return self._connection

    @property
    def newest_written_at(self) -> float | None:
        """Return when the newest event was written, in seconds since 1970 UTC, or None."""
        return self._newest_written_at

    @property
    def window(self) -> tuple[float, float]:
        """Return begin and end of the window: event times in seconds since 1970 UTC.

        The window ends at the newest event time of an event or of a scored row, so that replayed
        data is shown too.
        """
        known_times = (self._newest_event_time, self.scores.history.newest_time)
        end = max((time for time in known_times if time is not None), default=self._clock())
        return end - self.window_seconds, end

    def connect(self) -> None:
        """Forget all events, because they are read again from the begin of the window."""
        with self._lock:
            self._forget_events()
            self._connection = Connection(is_reached=True)
            self._revision += 1

    def disconnect(self, problem: str) -> None:
        """Keep the events, and record why no new events arrive."""
        with self._lock:
            self._connection = Connection(problem=problem)
            self._revision += 1

    def complete(self) -> None:
        """Record that all older events were read."""
        with self._lock:
            if not self._connection.is_complete:
                self._connection = Connection(is_reached=True, is_complete=True)
                self._revision += 1

    def add_records(self, records: Iterable[Record]) -> None:
        """Add records of the anomaly topic; records that are not events are left out."""
        self.add(received_events(records))

    def add(self, received_events: Iterable[ReceivedEvent]) -> None:
        """Add events in the order of their partitions."""
        with self._lock:
            for received_event in received_events:
                self._add(received_event)
            begin, _ = self.window
            self._lanes.drop_before(begin)
            self._revision += 1

    def episodes(self) -> list[EpisodeState]:
        """Return the episodes that are open or ended in the window."""
        with self._lock:
            begin = datetime.fromtimestamp(self.window[0], UTC)
            return [
                episode
                for episode in self._book.episodes()
                if episode.end is None or episode.end >= begin
            ]

    def episodes_of(self, sensor_id: str) -> list[EpisodeState]:
        """Return the episodes of a sensor, oldest first."""
        with self._lock:
            episodes = [
                episode for episode in self._book.episodes() if episode.sensor_id == sensor_id
            ]
        return sorted(episodes, key=lambda episode: (episode.begin, episode.id))

    def events_of(self, sensor_id: str) -> list[AnyEvent]:
        """Return the remembered events of a sensor, oldest first."""
        with self._lock:
            return self._events.of_sensor(sensor_id)

    def lanes(self, begin: float, end: float, limit: int) -> list[Lane]:
        """Return the worst lanes between two event times, in seconds since 1970 UTC.

        Without scores, the lanes have only the events.
        """
        if self.scores.has_rows:
            return self.scores.history.ranked(begin, end, limit)
        with self._lock:
            return self._lanes.ranked(begin, end, limit)

    @property
    def step_seconds(self) -> int:
        """Return the length of a time step of the lanes."""
        if self.scores.has_rows:
            return self.scores.history.step_seconds
        return self._lanes.step_seconds

    def _forget_events(self) -> None:
        self._book = EpisodeBook()
        self._lanes = Lanes(self._first_step_seconds)
        self._events = SensorEvents()
        self._newest_written_at: float | None = None
        self._newest_event_time: float | None = None

    def _add(self, received_event: ReceivedEvent) -> None:
        event, written_at = received_event.event, received_event.written_at
        seconds = event_instant(event.event_time).timestamp()
        self._book.add(event)
        self._events.add(event)
        self._newest_written_at = max(written_at, self._newest_written_at or written_at)
        if seconds > written_at + CLOCK_TOLERANCE_SECONDS:
            return
        self._newest_event_time = max(seconds, self._newest_event_time or seconds)
        if isinstance(event, Event):
            self._lanes.add(event.sensor_id, seconds, event.worst_score, event.severity)
        elif isinstance(event, ClosingEvent) and event.last:
            last = min(event_instant(event.last).timestamp(), seconds)
            start = event_instant(event.start or event.last).timestamp()
            begin = max(start, self.window[0])
            self._lanes.add_span(event.sensor_id, begin, last, event.peak, event.severity)


def received_events(records: Iterable[Record]) -> list[ReceivedEvent]:
    """Return the events in records of the anomaly topic.

    Other records, and events with a time that cannot be read, are left out.
    """
    return [
        ReceivedEvent(event, record.timestamp()[1] / 1000)
        for record in records
        if (event := read_event(record)) is not None
    ]
