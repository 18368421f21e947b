"""The topics of the notifier on the embedded broker: events, saved episodes, idle partitions."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.demo.embedded_broker import PARTITIONS, EmbeddedBroker
from sensorwatch.notify.anomaly_reader import AnomalyReader
from sensorwatch.notify.incident_book import IncidentBook, Notice
from sensorwatch.notify.input_watch import InputWatch
from sensorwatch.notify.saved_episodes import SavedEpisodes, decode_episode
from tests.alarms.event_builders import an_alarm
from tests.notify.rig import BEGIN, publish

TOPIC = "sensorwatch.notify.open-episodes"


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded_broker:
        yield embedded_broker


def kafka_of(broker: EmbeddedBroker) -> dict[str, str]:
    return {"bootstrap.servers": broker.address}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def test_a_reader_reads_everything_and_continues_from_what_is_committed(
    broker: EmbeddedBroker,
) -> None:
    broker.create_topic("anomalies")
    publish(broker, an_alarm())
    end = int(time.time() * 1_000) + 60_000

    def opened_reader() -> AnomalyReader:
        return AnomalyReader(kafka_of(broker), "anomalies", group="notify", begin_ms=end)

    reader = opened_reader()
    assert (reader.has_committed, len(reader.partitions)) == (False, PARTITIONS)
    wait_for(lambda: len(reader.poll(0.1)) == 1)
    wait_for(lambda: reader.poll(0.1) == [] and reader.is_caught_up())
    publish(broker, an_alarm("sensors-0-2"))
    assert reader.measure_lag()
    assert not reader.is_caught_up()
    wait_for(lambda: bool(reader.poll(0.1)) and reader.is_caught_up())
    assert reader.commit()
    reader.close()

    next_reader = opened_reader()
    assert next_reader.has_committed
    next_reader.close()


def test_a_missing_anomaly_topic_is_an_error(broker: EmbeddedBroker) -> None:
    with pytest.raises(BrokerUnavailable, match="topics create"):
        AnomalyReader(kafka_of(broker), "missing", group="notify", begin_ms=0)


def test_saved_episodes_come_back_with_their_notices(broker: EmbeddedBroker) -> None:
    book = IncidentBook()
    for number in (1, 2):
        book.add(an_alarm(f"sensors-0-{number}", group="line"), BEGIN)
        notice = Notice("sensors-0-1", "critical", opened_at=BEGIN, attempt="sensors-0-1-opened")
        book.set_notice([f"sensors-0-{number}"], " http://hook", notice)
    saved = SavedEpisodes(kafka_of(broker), TOPIC)
    episodes = {name: book.saved_form(name) for name in ("sensors-0-1", "sensors-0-2")}
    assert saved.save(episodes)
    assert saved.save({"sensors-0-2": None})
    saved.close()

    (episode,) = SavedEpisodes(kafka_of(broker), TOPIC).load()

    original = episodes["sensors-0-1"]
    assert original is not None
    assert (episode.notices, episode.received_at) == (original.notices, original.received_at)
    assert (episode.state.begin, episode.state.severity, episode.state.group) == (
        original.state.begin,
        original.state.severity,
        "line",
    )


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"state": {}}', b"\xff", b"[" * 5_000])
def test_a_record_of_another_program_is_ignored(value: bytes) -> None:
    assert decode_episode(value) is None


def test_a_partition_is_idle_if_its_last_record_is_old(broker: EmbeddedBroker) -> None:
    now = datetime.now(UTC)
    old = int((now - timedelta(hours=2)).timestamp() * 1_000)
    producer = Producer(kafka_of(broker))
    producer.produce("idle-input", b"old", partition=0, timestamp=old)
    producer.produce("idle-input", b"new", partition=1)
    assert producer.flush(10) == 0
    watch = InputWatch(kafka_of(broker), "idle-input", idle_seconds=3_600, now=lambda: now)

    assert list(watch.idle_partitions()) == [0]
    producer.produce("idle-input", b"newer", partition=0)
    assert producer.flush(10) == 0
    assert watch.idle_partitions() == {}
    now += timedelta(hours=2)
    assert list(watch.idle_partitions()) == [0, 1]
    watch.close()
