"""The demo's topic watcher counts the events of rows, but not events that close an episode."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from sensorwatch.common.alarms.events import ClosingEvent, Event
from sensorwatch.common.kafka.dead_letters import HEADER_PREFIX, ID_HEADER
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.demo.topic_watcher import TopicWatcher
from tests.brokers.child_processes import wait_until
from tests.commands.test_tail import a_closing_event, an_event

pytestmark = pytest.mark.embedded

Headers = list[tuple[str, str | bytes | None]]


@contextmanager
def a_watcher(*messages: tuple[str, bytes, Headers]) -> Iterator[TopicWatcher]:
    """Return a watcher of topics with the given messages (topic, value, headers)."""
    with EmbeddedBroker() as broker:
        for topic in ("sensors", "anomalies", "sensors.dlq"):
            broker.create_topic(topic)
        producer = Producer({"bootstrap.servers": broker.address})
        for topic, value, headers in messages:
            producer.produce(topic, value, partition=0, headers=headers)
        assert producer.flush(10) == 0
        environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": broker.address}
        with TopicWatcher(load_settings(environ=environ).settings) as watcher:
            yield watcher


def event_message(value: bytes, event_type: str) -> tuple[str, bytes, Headers]:
    return "anomalies", value, [("ce_type", event_type.encode())]


def dead_letter_message(id_: bytes, code: bytes) -> tuple[str, bytes, Headers]:
    return "sensors.dlq", b"{", [(ID_HEADER, id_), (HEADER_PREFIX + "code", code)]


def test_a_closing_event_is_not_counted_as_an_alarm() -> None:
    with a_watcher(
        event_message(an_event(1), EventType.DETECTED),
        event_message(a_closing_event(), EventType.CLOSED),
        event_message(a_closing_event(), EventType.CLOSED),
        event_message(b"of another program", "of.another.type"),
        event_message(an_event(2, episode={"id": "sensors-0-1", "rows": 2}), EventType.DETECTED),
    ) as watcher:
        wait_until(
            lambda: watcher.has(rows=0, events=2, dead_letters=0),
            deadline=30,
            what="the events of both rows",
            every=0.05,
        )
        watcher.stop()

    assert watcher.observations.alarms == {
        Coordinates("sensors", 0, 1): "sensors-0-1",
        Coordinates("sensors", 0, 2): "sensors-0-1",
    }
    assert [type(event) for event in watcher.latest] == [Event, ClosingEvent, ClosingEvent, Event]
    assert watcher.closing_event_ids == {"sensors-0-1-closed"}
    assert watcher.duplicates == 1


def test_each_dead_letter_is_counted_once_and_invalid_headers_are_ignored() -> None:
    with a_watcher(
        dead_letter_message(b"\xff", b"\xc3"),
        dead_letter_message(b"sensors-0-7", b"not_json"),
        dead_letter_message(b"sensors-0-7", b"not_json"),
        dead_letter_message(b"sensors-0-9", b"empty"),
    ) as watcher:
        wait_until(
            lambda: watcher.has(rows=0, events=0, dead_letters=2),
            deadline=30,
            what="both dead letters",
            every=0.05,
        )
        watcher.stop()

    assert {coordinates.offset for coordinates in watcher.observations.dead_letters} == {7, 9}
    assert watcher.reasons == {"\ufffd": 1, "not_json": 2, "empty": 1}
    assert watcher.duplicates == 1
