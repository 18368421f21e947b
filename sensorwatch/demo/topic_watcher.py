"""A thread that reads the demo's topics: rows, events and dead letters.

It reads all the time, because the embedded broker drops old records.
"""

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from sensorwatch.commands.event_line import Closing, Event, read_event
from sensorwatch.commands.topic_follower import StartAt, follow_topics
from sensorwatch.common.kafka.dead_letters import HEADER_PREFIX, ID_HEADER
from sensorwatch.common.kafka.records import (
    Coordinates,
    coordinates,
    header_value,
    headers_of,
    last_header_value,
)
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.demo.score import Observations
from sensorwatch.producer.kafka_sink import LABEL_HEADER

_LATEST_EVENTS = 300


class TopicWatcher:
    """Reads the topics from their beginning until `stop`, in no consumer group."""

    def __init__(self, settings: Settings) -> None:
        """Begin to read."""
        self._settings = settings
        self._stopping = Flag()
        self.seen = Observations()
        """Complete after `stop`."""
        self.latest: deque[Event | Closing] = deque(maxlen=_LATEST_EVENTS)
        """The newest events, the newest last."""
        self.closings: set[str] = set()
        """The ids of the events that close an episode."""
        self.reasons: Counter[str] = Counter()
        """The number of dead letters by reason code."""
        self.duplicates = 0
        """The number of events and dead letters that were read a second time."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="topic-watcher")
        self._end = self._thread.submit(self._read)

    def check(self) -> None:
        """Raise the error that ended the thread, if there is one."""
        if self._end.done():
            self._end.result()

    def has(self, *, rows: int, events: int, dead_letters: int) -> bool:
        """Say whether at least these numbers of records were read."""
        seen = self.seen
        return (
            seen.rows >= rows
            and len(seen.alarms) >= events
            and len(seen.dead_letters) >= dead_letters
        )

    def stop(self) -> None:
        """Stop reading; raise the error that ended the thread, if there is one."""
        self._stopping.set()
        self._end.result()

    def _read(self) -> None:
        topics = self._settings.topics
        take: dict[str | None, Callable[[Message], None]] = {
            topics.readings: self._take_row,
            topics.anomalies: self._take_event,
            topics.dead_letters: self._take_dead_letter,
        }
        for messages in follow_topics(
            self._settings.kafka,
            [topics.readings, topics.anomalies, topics.dead_letters],
            begin=StartAt.BEGINNING,
            stopping=self._stopping.is_set,
            logger=quiet_logger(),
        ):
            for message in messages:
                take[message.topic()](message)

    def _take_row(self, message: Message) -> None:
        label = _text(header_value(message, LABEL_HEADER))
        self.seen.add_record(coordinates(message), message.key(), label)

    def _take_event(self, message: Message) -> None:
        event = read_event(message)
        if event is None:
            return
        self.latest.append(event)
        if isinstance(event, Closing):  # it belongs to an episode, not to a row
            self.duplicates += event.event_id in self.closings
            self.closings.add(event.event_id)
            return
        where = _coordinates_of(event.event_id)
        if where is not None:
            self.duplicates += where in self.seen.alarms
            self.seen.alarms[where] = event.episode.id or event.event_id

    def _take_dead_letter(self, message: Message) -> None:
        headers = headers_of(message) or []  # the client crashes if it is asked twice
        where = _coordinates_of(_text(last_header_value(headers, ID_HEADER)))
        if where is not None:
            self.duplicates += where in self.seen.dead_letters
            self.seen.dead_letters.add(where)
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
    """Return a header as text, empty if there is none; other programs may write any bytes."""
    return (header or b"").decode(errors="replace")


def _coordinates_of(event_id: str) -> Coordinates | None:
    """Read `topic-partition-offset`; None for an id that another program wrote."""
    try:
        topic, partition, offset = event_id.rsplit("-", 2)
        return Coordinates(topic, int(partition), int(offset))
    except ValueError:
        return None
