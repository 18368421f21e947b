"""What comes through the topics, counted while it comes: the embedded broker forgets the oldest."""

from collections import Counter, deque
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from sensorwatch.commands.topic_follower import StartAt, follow_topics
from sensorwatch.common.kafka.dead_letters import HEADER_PREFIX, ID_HEADER
from sensorwatch.common.kafka.records import Coordinates, coordinates, header_value
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.demonstration.truth import Truth
from sensorwatch.event_line import Closing, Event, read_event
from sensorwatch.producer.kafka_sink import LABEL_HEADER

_KEPT_EVENTS = 300


class Watching:
    """Reads readings, events and dead letters from a thread of its own, in no group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = Flag()
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="watching", daemon=True)
        self.truth = Truth()
        """Complete once the thread has stopped."""
        self.latest: deque[Event | Closing] = deque(maxlen=_KEPT_EVENTS)
        """The newest events, the newest last."""
        self.ended: set[str] = set()
        """Ids of the episodes' ends."""
        self.reasons: Counter[str] = Counter()
        """Dead letters by reason code."""
        self.repeated = 0
        """Events and dead letters that came a second time."""

    def __enter__(self) -> Self:
        """Begin to read, from each topic's beginning."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise what has ended the reading, if anything has."""
        if self._failure is not None:
            raise self._failure

    def has(self, *, rows: int, events: int, letters: int) -> bool:
        """Say whether so many of each were read."""
        self.check()
        truth = self.truth
        return truth.rows >= rows and len(truth.events) >= events and len(truth.letters) >= letters

    def stop(self) -> None:
        """Stop reading; safe to call twice."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        topics = self._settings.topics
        take: dict[str | None, Callable[[Message], None]] = {
            topics.readings: self._reading,
            topics.anomalies: self._event,
            topics.dead_letters: self._letter,
        }
        names = [topics.readings, topics.anomalies, topics.dead_letters]
        try:
            for messages in follow_topics(
                self._settings.kafka,
                names,
                begin=StartAt.BEGINNING,
                stopping=self._stop.is_set,
                logger=quiet_logger(),
            ):
                for message in messages:
                    take[message.topic()](message)
        except Exception as error:  # noqa: BLE001 - `check` raises it where somebody can act
            self._failure = error

    def _reading(self, message: Message) -> None:
        label = (header_value(message, LABEL_HEADER) or b"").decode()
        self.truth.record(coordinates(message), message.key(), label)

    def _event(self, message: Message) -> None:
        event = read_event(message)
        if event is None:
            return
        self.latest.append(event)
        if isinstance(event, Event):
            self._outcome(self.truth.events, event.event_id)
            return
        # No row's outcome: it counts for nothing but repetition.
        self.repeated += event.event_id in self.ended
        self.ended.add(event.event_id)

    def _letter(self, message: Message) -> None:
        self._outcome(self.truth.letters, (header_value(message, ID_HEADER) or b"").decode())
        self.reasons[(header_value(message, HEADER_PREFIX + "code") or b"?").decode()] += 1

    def _outcome(self, taken: set[Coordinates], text: str) -> None:
        where = _where(text)
        if where is None:  # written by somebody else
            return
        if where in taken:
            self.repeated += 1
        taken.add(where)


def _where(text: str) -> Coordinates | None:
    """Read `topic-partition-offset` back, or None where the text is none."""
    try:
        topic, partition, offset = text.rsplit("-", 2)
        return Coordinates(topic, int(partition), int(offset))
    except ValueError:
        return None
