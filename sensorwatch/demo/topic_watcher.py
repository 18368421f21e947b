"""Read the rows, events and dead letters of the demo in a separate thread.

The thread reads all the time, because the embedded broker deletes old records.
"""

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as ThreadEvent
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    ClosingEvent,
    Event,
    MessageEvent,
    read_event,
)
from sensorwatch.common.kafka.dead_letters import HEADER_PREFIX, ID_HEADER
from sensorwatch.common.kafka.records import (
    Coordinates,
    coordinates,
    header_value,
    headers_of,
    last_header_value,
)
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_follower import StartAt, follow_topics
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.demo.score import Observations
from sensorwatch.producer.kafka_sink import LABEL_HEADER

_LATEST_EVENTS = 300


class TopicWatcher:
    """Reads three topics of the demo from their beginning until `stop` is called."""

    def __init__(self, settings: Settings) -> None:
        """Start the thread that reads the topics."""
        self._settings = settings
        self._stopping = ThreadEvent()
        self.observations = Observations()
        """All labels, alarms and dead letters that were read so far."""
        self.latest: deque[Event | ClosingEvent] = deque(maxlen=_LATEST_EVENTS)
        """The newest events, in order of arrival."""
        self.closing_event_ids: set[str] = set()
        """The ids of the events that close an episode."""
        self.reasons: Counter[str] = Counter()
        """The number of dead letters by reason code."""
        self.duplicates = 0
        """The number of events and dead letters with an id that was already read."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="topic-watcher")
        self._reading = self._thread.submit(self._read)

    def check(self) -> None:
        """Raise the error that ended the thread, if the thread failed."""
        if self._reading.done():
            self._reading.result()

    def has(self, *, rows: int, events: int, dead_letters: int) -> bool:
        """Return True if at least these numbers of records were read."""
        observations = self.observations
        return (
            observations.rows >= rows
            and len(observations.alarms) >= events
            and len(observations.dead_letters) >= dead_letters
        )

    def stop(self) -> None:
        """Stop reading. Raise the error that ended the thread, if the thread failed."""
        self._stopping.set()
        self._reading.result()

    def _read(self) -> None:
        topics = self._settings.topics
        handlers: dict[str | None, Callable[[Message], None]] = {
            topics.readings: self._add_row,
            topics.anomalies: self._add_event,
            topics.dead_letters: self._add_dead_letter,
        }
        for messages in follow_topics(
            self._settings.kafka,
            [topics.readings, topics.anomalies, topics.dead_letters],
            begin=StartAt.BEGINNING,
            stopping=self._stopping.is_set,
            logger=silent_logger(),
        ):
            for message in messages:
                handlers[message.topic()](message)

    def _add_row(self, message: Message) -> None:
        label = _text(header_value(message, LABEL_HEADER))
        self.observations.add_record(coordinates(message), message.key(), label)

    def _add_event(self, message: Message) -> None:
        event = read_event(message)
        # The demo shows no accepted levels, no stale model and no silent sensors.
        if event is None or isinstance(event, AcceptedEvent | MessageEvent):
            return
        self.latest.append(event)
        if isinstance(event, ClosingEvent):  # a closing event belongs to an episode, not to a row
            self.duplicates += event.event_id in self.closing_event_ids
            self.closing_event_ids.add(event.event_id)
            return
        record = _coordinates_in_id(event.event_id)
        if record is not None:
            self.duplicates += record in self.observations.alarms
            self.observations.add_alarm(record, event.episode.id or event.event_id, event.severity)

    def _add_dead_letter(self, message: Message) -> None:
        headers = headers_of(message) or []  # a second `message.headers()` crashes the client
        record = _coordinates_in_id(_text(last_header_value(headers, ID_HEADER)))
        if record is not None:
            self.duplicates += record in self.observations.dead_letters
            self.observations.dead_letters.add(record)
        self.reasons[_text(last_header_value(headers, HEADER_PREFIX + "code")) or "?"] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.shutdown()


def _text(header: bytes | None) -> str:
    """Return the value of a header as text, or an empty text if the header is missing.

    Other programs may write any bytes, so invalid bytes are replaced.
    """
    return (header or b"").decode(errors="replace")


def _coordinates_in_id(event_id: str) -> Coordinates | None:
    """Return the coordinates in an id `topic-partition-offset`, or None for any other id."""
    try:
        topic, partition, offset = event_id.rsplit("-", 2)
        return Coordinates(topic, int(partition), int(offset))
    except ValueError:
        return None
