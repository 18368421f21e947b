"""What comes through the anomaly topic: rows are counted, the ends of episodes are not."""

import pytest
from confluent_kafka import Producer

from sensorwatch.common.kafka.embedded import EmbeddedBroker
from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.consumer.publishing.events import EventType
from sensorwatch.demonstration.watching import Watching
from sensorwatch.event_line import Closing, Event
from tests.brokers.child_processes import wait_until
from tests.commands.test_tail import an_end, an_event

pytestmark = pytest.mark.embedded


def test_the_end_of_an_episode_is_shown_but_is_no_row() -> None:
    with EmbeddedBroker() as broker:
        for topic in ("sensors", "anomalies", "sensors.dlq"):
            broker.create_topic(topic)
        producer = Producer({"bootstrap.servers": broker.address})
        for value, kind in (
            (an_event(1), EventType.DETECTED),
            (an_end(), EventType.CLOSED),
            (an_end(), EventType.CLOSED),
            (b"somebody else's", "of.another.type"),
            (an_event(2), EventType.DETECTED),
        ):
            headers: list[tuple[str, str | bytes | None]] = [("ce_type", kind.encode())]
            producer.produce("anomalies", value, partition=0, headers=headers)
        assert producer.flush(10) == 0
        environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": broker.address}
        with Watching(load_settings(environ=environ).settings) as watching:
            wait_until(
                lambda: watching.has(rows=0, events=2, letters=0),
                deadline=30,
                what="both rows' events",
                every=0.05,
            )

    assert watching.truth.events == {Coordinates("sensors", 0, 1), Coordinates("sensors", 0, 2)}
    assert [type(event) for event in watching.latest] == [Event, Closing, Closing, Event]
    assert watching.ended == {"sensors-0-1-closed"}
    assert watching.repeated == 1
