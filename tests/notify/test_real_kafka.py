"""The topics of the notifier on a real Kafka: transactions, compaction, search by time."""

import time
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import Producer

from sensorwatch.common.kafka.state_check import read_topic_config
from sensorwatch.notify import anomaly_reader
from sensorwatch.notify.anomaly_reader import AnomalyReader
from sensorwatch.notify.incident_book import IncidentBook, Notice
from sensorwatch.notify.saved_episodes import SavedEpisodes
from tests.alarms.event_builders import an_alarm
from tests.brokers.kafka import Kafka
from tests.notify.rig import BEGIN, type_of

pytestmark = pytest.mark.broker


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def test_a_reader_catches_up_behind_markers_of_transactions_and_searches_by_time(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = "notified-anomalies", {"bootstrap.servers": kafka.address}
    kafka.create_topic(topic, 1)
    producer = Producer({**settings, "transactional.id": "notified"})
    producer.init_transactions(20)
    event = an_alarm()
    headers: dict[str, str | bytes | None] = {"ce_type": type_of(event).encode()}
    for number in range(3):
        producer.begin_transaction()
        timestamp = 1_700_000_000_000 + 1_000 * number
        value = msgspec.json.encode(event)
        producer.produce(topic, value, "pump-1", headers=headers, timestamp=timestamp)
        if number == 2:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    monkeypatch.setattr(anomaly_reader, "SMALL_PARTITION", 0)

    reader = AnomalyReader(settings, topic, group="notified", begin_ms=1_700_000_000_500)

    assert not reader.is_caught_up()
    wait_for(lambda: len(reader.poll(0.1)) == 1)
    wait_for(lambda: reader.poll(0.1) == [] and reader.is_caught_up())
    assert reader.measure_lag()
    assert reader.is_caught_up()
    assert reader.commit()
    reader.close()


def test_the_topic_of_open_episodes_is_compacted(kafka: Kafka) -> None:
    topic, settings = "notified.open-episodes", {"bootstrap.servers": kafka.address}
    saved = SavedEpisodes(settings, topic)
    book = IncidentBook()
    book.add(an_alarm(), BEGIN)
    book.set_notice(["sensors-0-1"], "target", Notice("sensors-0-1"))

    assert saved.save({"sensors-0-1": book.saved_form("sensors-0-1")})

    assert [episode.state.id for episode in saved.load()] == ["sensors-0-1"]
    assert read_topic_config(settings, topic, 10)["cleanup.policy"] == "compact"
    saved.close()
