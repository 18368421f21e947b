"""A thread follows the anomaly topic; records that are not events are left out."""

import json

import pytest
from confluent_kafka import Producer

from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.topic_thread import TopicThread, received_events
from sensorwatch.common.kafka.event_types import EventType
from tests.alarms.event_builders import a_time
from tests.api.app_builders import wait_until
from tests.brokers.mock_cluster import MockCluster
from tests.kafka.record_builders import StoredRecord

VALUE = {
    "event_id": "sensors-0-1",
    "sensor_id": "pump-1",
    "event_time": a_time(0),
    "model_version": "default-0001-aaaaaaaa",
    "anomaly_score": 2.5,
    "severity": "major",
    "signals": [],
}
HEADERS: list[tuple[str, bytes | None]] = [("ce_type", EventType.DETECTED.encode())]


@pytest.mark.parametrize(
    "change",
    [
        {"event_time": "yesterday"},
        {"event_time": "2025-01-01T00:00:00"},
        {"episode": {"rows": 1, "id": "x", "start": "soon"}},
        {"severity": 5},
    ],
)
def test_an_event_that_cannot_be_read_is_left_out(change: dict[str, object]) -> None:
    good = StoredRecord(json.dumps(VALUE).encode(), stored_headers=HEADERS)
    bad = StoredRecord(json.dumps(VALUE | change).encode(), stored_headers=HEADERS)

    events = received_events([bad, good, StoredRecord(b"", stored_headers=[])])

    assert [received_event.event.event_id for received_event in events] == ["sensors-0-1"]


@pytest.mark.embedded
def test_events_of_the_topic_reach_the_state(mock_cluster: MockCluster) -> None:
    topic = mock_cluster.create_topic("anomalies")
    state = PageState(12)
    thread = TopicThread({"bootstrap.servers": mock_cluster.address}, topic, state)
    thread.start()
    wait_until(lambda: state.connection.is_complete)
    producer = Producer({"bootstrap.servers": mock_cluster.address})
    producer.produce(topic, json.dumps(VALUE), headers=[*HEADERS])
    assert producer.flush(10) == 0

    wait_until(lambda: bool(state.events_of("pump-1")))

    thread.stop(10)
    assert [episode.severity for episode in state.episodes()] == ["major"]
    assert state.newest_written_at is not None
