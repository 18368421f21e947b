"""The Kafka sink delivers records, and counts the ones that could not be delivered."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, KafkaError, Message, Producer

from sensorwatch.common.errors import BrokerUnavailable, SettingsError, UsageError
from sensorwatch.common.kafka.client_config import producer_config, reader_config
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.producer.kafka_sink import LABEL_HEADER, KafkaSink, connect_sink
from sensorwatch.producer.simulated_records import SimulatedRecord, simulated_records
from sensorwatch.producer.sink import DeliveryCounts, deliver
from tests.brokers.mock_cluster import MockCluster
from tests.brokers.protocol import Api

pytestmark = pytest.mark.embedded
TOPIC = "sensors"


def never_stop() -> bool:
    return False


def some_records(rows: int, rate: float = 0.02) -> list[SimulatedRecord]:
    (simulated_chunk,) = simulate(Simulation(rows=rows, faults=FaultPlan(rate=rate)))
    return list(simulated_records(simulated_chunk))


def read_messages(address: str, rows: int) -> list[Message]:
    consumer = Consumer(reader_config({"bootstrap.servers": address}, group="reader"))
    consumer.subscribe([TOPIC])
    messages: list[Message] = []
    deadline = time.monotonic() + 30
    while len(messages) < rows and time.monotonic() < deadline:
        messages += [message for message in consumer.consume(1_000, 0.1) if not message.error()]
    consumer.close()
    return messages


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    mock_cluster.create_topic(TOPIC, partitions=4)
    return mock_cluster


def new_sink(address: str, *, flush_seconds: float = 20.0, **config: Any) -> KafkaSink:
    settings = producer_config({"bootstrap.servers": address, **config})
    return KafkaSink(Producer(settings), TOPIC, stopping=never_stop, flush_seconds=flush_seconds)


def test_every_record_is_delivered_with_key_value_label_and_time_of_sending(
    cluster: MockCluster,
) -> None:
    sent_records, start_time = some_records(5_000), time.time()
    sink = connect_sink({"bootstrap.servers": cluster.address}, TOPIC, stopping=never_stop)

    delivery_counts = deliver(
        [sent_records[:2_000], sent_records[2_000:]],
        sink,
        stopping=never_stop,
        on_sent=lambda _rows: None,
    )

    assert delivery_counts == DeliveryCounts(5_000, 0)
    messages = read_messages(cluster.address, 5_000)
    assert sorted(map(sent_record, messages)) == sorted(sent_records)
    for message in messages:
        timestamp_type, milliseconds = message.timestamp()
        assert timestamp_type == TIMESTAMP_CREATE_TIME
        assert start_time - 1 <= milliseconds / 1000 <= time.time() + 1
        assert b"label" not in (message.value() or b"")


def test_the_rows_of_a_sensor_stay_in_order_in_one_partition(cluster: MockCluster) -> None:
    sent_records = some_records(3_000, rate=0)
    sink = new_sink(cluster.address)

    sink.send(sent_records)
    sink.close()

    partitions: dict[str, set[int]] = {}
    times_by_key: dict[str, list[tuple[int, str]]] = {}
    for message in read_messages(cluster.address, 3_000):
        key = (message.key() or b"").decode()
        partitions.setdefault(key, set()).add(message.partition() or 0)
        event_time = json.loads(message.value() or b"")["timestamp"]
        times_by_key.setdefault(key, []).append((message.offset() or 0, event_time))
    assert len(partitions) == 10
    assert all(len(partition_numbers) == 1 for partition_numbers in partitions.values())
    for rows in times_by_key.values():
        times_by_offset = [event_time for _, event_time in sorted(rows)]
        assert times_by_offset == sorted(times_by_offset)


def test_send_waits_while_the_producer_queue_is_full(cluster: MockCluster) -> None:
    sink = new_sink(cluster.address, **{"queue.buffering.max.messages": 10})

    sink.send(some_records(1_000))

    assert sink.close() == DeliveryCounts(1_000, 0)


def test_send_returns_on_a_stop_request_even_if_the_queue_is_full(cluster: MockCluster) -> None:
    """The broker is down, so the sink's queue stays full."""
    config = producer_config(
        {"bootstrap.servers": cluster.address, "queue.buffering.max.messages": 10}
    )
    cluster.stop_broker()
    stop_requested = threading.Event()
    producer = Producer(config, logger=silent_logger())
    sink = KafkaSink(producer, TOPIC, stopping=stop_requested.is_set, flush_seconds=0.2)
    threading.Timer(0.3, stop_requested.set).start()

    sink.send(some_records(1_000))
    delivery_counts = sink.close()

    assert delivery_counts.delivered == 0
    assert delivery_counts.failed == 10


def test_a_record_that_the_broker_refuses_is_counted_as_failed(cluster: MockCluster) -> None:
    cluster.push_request_errors(Api.PRODUCE, [KafkaError.TOPIC_AUTHORIZATION_FAILED])
    sink = new_sink(cluster.address)

    sink.send(some_records(1))
    delivery_counts = sink.close()

    assert (delivery_counts.delivered, delivery_counts.failed) == (0, 1)
    assert "uthoriz" in delivery_counts.failure


def test_only_the_record_that_is_too_large_for_the_client_fails(cluster: MockCluster) -> None:
    sink = new_sink(cluster.address)

    sink.send([SimulatedRecord("a", b"x" * 2_000_000, ""), SimulatedRecord("a", b"{}", "")])
    delivery_counts = sink.close()

    assert (delivery_counts.delivered, delivery_counts.failed) == (1, 1)
    assert "too large" in delivery_counts.failure


def test_records_that_are_not_confirmed_at_the_deadline_are_counted_as_failed(
    cluster: MockCluster,
) -> None:
    config = producer_config({"bootstrap.servers": cluster.address})
    sink = KafkaSink(
        Producer(config, logger=silent_logger()), TOPIC, stopping=never_stop, flush_seconds=0.5
    )
    cluster.stop_broker()
    start_time = time.monotonic()

    sink.send(some_records(100))
    delivery_counts = sink.close()

    assert (delivery_counts.delivered, delivery_counts.failed) == (0, 100)
    assert "not confirmed" in delivery_counts.failure
    assert time.monotonic() - start_time < 10


def test_a_missing_topic_is_an_error_before_the_first_record_is_sent(
    embedded_broker: EmbeddedBroker,
) -> None:
    with pytest.raises(BrokerUnavailable, match='no topic "missing"'):
        connect_sink({"bootstrap.servers": embedded_broker.address}, "missing", stopping=never_stop)


def test_idempotence_cannot_be_disabled() -> None:
    with pytest.raises(SettingsError, match=r"enable\.idempotence"):
        connect_sink({"enable.idempotence": False}, TOPIC, stopping=never_stop)


def test_the_error_names_an_unknown_client_setting(cluster: MockCluster) -> None:
    with pytest.raises(UsageError, match=r"no\.such\.thing"):
        connect_sink(
            {"bootstrap.servers": cluster.address, "no.such.thing": 1}, TOPIC, stopping=never_stop
        )


def test_delivery_stops_between_batches_on_a_stop_request() -> None:
    class CountingSink:
        def __init__(self) -> None:
            self.rows = 0

        def send(self, records: Sequence[SimulatedRecord]) -> None:
            self.rows += len(records)

        def close(self) -> DeliveryCounts:
            return DeliveryCounts(self.rows, 0)

    sink = CountingSink()
    batch = [SimulatedRecord("a", b"", "")] * 3

    delivery_counts = deliver(
        iter([batch] * 5), sink, stopping=lambda: sink.rows >= 6, on_sent=lambda _rows: None
    )

    assert delivery_counts == DeliveryCounts(6, 0)


def sent_record(message: Message) -> SimulatedRecord:
    headers = dict(message.headers() or [])
    label = headers.pop(LABEL_HEADER, b"")
    assert not headers
    assert isinstance(label, bytes)
    return SimulatedRecord((message.key() or b"").decode(), message.value() or b"", label.decode())
