"""A thread follows the anomaly topic; records that are not events are left out."""

import json

import pytest
from confluent_kafka import Producer

from sensorwatch.api.page import topic_thread
from sensorwatch.api.page.page_state import PageState, received_events
from sensorwatch.api.page.score_source import ScoreSource
from sensorwatch.api.page.topic_thread import TopicThread
from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.score_records import ScoreRecord, encode_scores
from tests.alarms.event_builders import a_time
from tests.api.app_builders import wait_until
from tests.brokers.mock_cluster import MockCluster
from tests.kafka.record_builders import StoredRecord
from tests.page.page_builders import seconds_of
from tests.page.score_builders import a_record, a_row

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


@pytest.mark.embedded
def test_scores_of_the_topic_reach_the_history(
    mock_cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_thread, "RETRY_SECONDS", 0.05)
    source = ScoreSource(600, 60, clock_tolerance_seconds=300)
    thread = TopicThread({"bootstrap.servers": mock_cluster.address}, "group.scores", source)
    thread.start()
    wait_until(lambda: "group.scores" in source.connection.problem)
    topic = mock_cluster.create_topic("group.scores")
    wait_until(lambda: source.connection.is_complete)
    producer = Producer({"bootstrap.servers": mock_cluster.address})
    aggregates = a_record(a_row("pump-1", seconds_of(0), score=4.0)).aggregates
    scores = ScoreRecord("group", Partition("sensors", 0), "default-0001-aaaaaaaa", aggregates)
    for value in (b"damaged", encode_scores(scores)):
        producer.produce(topic, value)
    assert producer.flush(10) == 0

    wait_until(lambda: source.has_rows)

    thread.stop(10)
    lane = source.history.lane_of("pump-1")
    assert lane is not None
    assert lane.worst.score == 4.0


def test_a_score_record_of_a_newer_version_is_a_problem() -> None:
    header = b'{"scores_version":99}'
    record = StoredRecord(len(header).to_bytes(4, "little") + header, stored_headers=[])

    with pytest.raises(DataError, match="newer"):
        ScoreSource(600, 60, clock_tolerance_seconds=300).add_records([record])
