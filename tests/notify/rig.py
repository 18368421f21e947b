"""A notifier with a topic, a store and a clock in memory, and with real sending threads."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    SilentEvent,
)
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import Record
from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.consumer.health import Heartbeat
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.notify.delivery import Clocks, DeliveryContext
from sensorwatch.notify.http_client import Answer, Outcome
from sensorwatch.notify.incident_book import IncidentBook, TrackedEpisode
from sensorwatch.notify.metrics import NotifyMetrics
from sensorwatch.notify.notifier import Notifier
from sensorwatch.notify.policy import policy_of
from sensorwatch.notify.routing import lowest_severity, targets_of
from sensorwatch.notify.run import delivery_of
from sensorwatch.notify.saved_episodes import decode_episode, encode_episode
from tests.kafka.record_builders import StoredRecord

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
"""The event time of minute 0."""
PEER, OTHER_PEER = "http://peer-a:9093", "http://peer-b:9093"
HOOK = "http://hook/changes"
ACCEPTED = Answer(Outcome.ACCEPTED, status=200)
_TYPES: dict[type[AnyEvent], EventType] = {
    Event: EventType.DETECTED,
    ClosingEvent: EventType.CLOSED,
    AcceptedEvent: EventType.ACCEPTED,
    SilentEvent: EventType.SILENT,
    BackEvent: EventType.BACK,
}


def a_record(event: AnyEvent, received: datetime | None = None) -> StoredRecord:
    """Return the record of an event; it was received at its event time by default."""
    received = received or datetime.fromisoformat(event.event_time)
    return StoredRecord(
        msgspec.json.encode(event),
        stored_headers=[("ce_type", type_of(event).encode())],
        stored_timestamp=(1, int(received.timestamp() * 1_000)),
    )


def type_of(event: AnyEvent) -> EventType:
    """Return the type in the headers of an event."""
    is_raised = isinstance(event, Event) and bool(event.news)
    return EventType.RAISED if is_raised else _TYPES[type(event)]


def publish(broker: EmbeddedBroker, *events: AnyEvent) -> None:
    """Write events to the topic `anomalies` of a broker."""
    producer = Producer({"bootstrap.servers": broker.address})
    for event in events:
        headers: dict[str, str | bytes | None] = {"ce_type": type_of(event).encode()}
        producer.produce("anomalies", msgspec.json.encode(event), event.sensor_id, headers=headers)
    assert producer.flush(10) == 0
    producer.close()


class TopicInMemory:
    """The anomaly topic, and the committed position in it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.committed: int | None = None


class ReaderInMemory:
    """Reads a topic in memory from its first record on."""

    partitions = (0,)

    def __init__(self, topic: TopicInMemory) -> None:
        self._topic, self._position = topic, 0
        self.has_committed = topic.committed is not None
        self.can_measure = True

    def poll(self, wait_seconds: float) -> Sequence[Record]:
        records = self._topic.records[self._position :]
        self._position += len(records)
        return records

    def is_caught_up(self) -> bool:
        return self.lag(0) == 0

    def measure_lag(self) -> bool:
        return self.can_measure

    def lag(self, number: int) -> int:
        return len(self._topic.records) - self._position + number

    def commit(self) -> bool:
        self._topic.committed = self._position
        return True


class StoreInMemory:
    """The compacted topic: the bytes of the newest record of each episode."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.is_down = False

    def load(self) -> list[TrackedEpisode]:
        episodes = [decode_episode(value) for value in self.values.values()]
        return [episode for episode in episodes if episode is not None]

    def save(self, records: Mapping[str, TrackedEpisode | None]) -> bool:
        if self.is_down:
            return False
        for episode_id, episode in records.items():
            if episode is None:
                self.values.pop(episode_id, None)
            else:
                self.values[episode_id] = encode_episode(episode)
        return True


class IdleInMemory:
    """An input topic whose idle partitions the test sets."""

    topic = "sensors"

    def __init__(self) -> None:
        self.idle: dict[int, datetime] = {}

    def idle_partitions(self) -> dict[int, datetime]:
        return self.idle


@dataclass(slots=True)
class PostInMemory:
    """Records what is sent to each URL."""

    answer: Callable[[str, Any], Answer] = lambda _url, _value: ACCEPTED
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, url: str, value: Any, _content_type: str) -> Answer:
        value = json.loads(json.dumps(value))
        self.requests.append((url, value))
        return self.answer(url, value)

    def alerts(self, peer: str = PEER, name: str = "SensorwatchIncident") -> list[dict[str, Any]]:
        """Return the alerts with a name that a peer got."""
        return [
            alert
            for url, value in self.requests
            if url == f"{peer}/api/v2/alerts"
            for alert in value
            if alert["labels"]["alertname"] == name
        ]

    def changes(self, url: str = HOOK) -> list[str]:
        """Return the ids of the changes that a webhook got."""
        return [value["id"] for request_url, value in self.requests if request_url == url]


class Rig:
    """A notifier; `restart` replaces it as after a kill, with the same topic and store."""

    def __init__(self, *, minute: float = 60, **settings: Any) -> None:
        """Start at a minute after `BEGIN`. `settings`: values of `[notify]`."""
        self.settings = NotifySettings(**settings)
        self.topic, self.store, self.idle = TopicInMemory(), StoreInMemory(), IdleInMemory()
        self.post = PostInMemory()
        self.now = BEGIN + timedelta(minutes=minute)
        self.restart()

    def restart(self) -> None:
        """Start a new notifier, as if the old one had been killed."""
        self.registry = CollectorRegistry()
        clocks = Clocks(now=lambda: self.now, monotonic=self._monotonic)
        targets = targets_of(self.settings)
        self.context = DeliveryContext(
            book=IncidentBook(lowest_severity(targets)),
            policy=policy_of(self.settings, "sensorwatch.notify"),
            metrics=NotifyMetrics(self.registry, targets=[target.name for target in targets]),
            clocks=clocks,
            post=self.post,
        )
        self.reader = ReaderInMemory(self.topic)
        self.deliveries = [delivery_of(target, self.context) for target in targets]
        self.notifier = Notifier(
            reader=self.reader,
            saved=self.store,
            input_watch=self.idle,
            deliveries=self.deliveries,
            context=self.context,
            heartbeat=Heartbeat(clocks.monotonic, 120),
        )

    def publish(self, *events: AnyEvent, received: datetime | None = None) -> None:
        """Add events to the topic."""
        self.topic.records += [a_record(event, received) for event in events]

    def run(self, seconds: float = 3, *, step: float = 1) -> None:
        """Let time pass in steps; wait in each step until all requests are answered."""
        for _ in range(round(seconds / step)):
            self.now += timedelta(seconds=step)
            self.notifier.step()
            self._wait_for_answers()
        self.notifier.step()
        self._wait_for_answers()

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        value = self.registry.get_sample_value(f"sensorwatch_notify_{name}", labels)
        assert value is not None, name
        return value

    def _monotonic(self) -> float:
        return (self.now - BEGIN).total_seconds()

    def _wait_for_answers(self) -> None:
        deadline = time.monotonic() + 5
        while any(delivery.is_busy for delivery in self.deliveries):
            assert time.monotonic() < deadline, "a request has no answer"
            time.sleep(0.0005)
