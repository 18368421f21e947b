"""A reader returns all records that a topic has when reading starts, without joining a group."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import (
    ask_leader,
    partition_bounds,
    read_topic,
    topic_partitions,
)
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.mock_cluster import MockCluster

pytestmark = pytest.mark.embedded

TOPIC = "letters"


@pytest.fixture
def kafka_settings(embedded_broker: EmbeddedBroker) -> dict[str, str]:
    """Return the settings of a broker whose topic has ten records in each of four partitions."""
    embedded_broker.create_topic(TOPIC)
    kafka_settings = {"bootstrap.servers": embedded_broker.address}
    producer = Producer(kafka_settings, logger=silent_logger())
    for number in range(40):
        producer.produce(TOPIC, b"%d" % (number // 4), partition=number % 4)
    assert producer.flush(10) == 0
    return kafka_settings


def read_offsets(
    kafka_settings: dict[str, str], **offset_bounds: dict[int, int]
) -> dict[int, list[int | None]]:
    offsets_by_partition: dict[int, list[int | None]] = {}
    for message in read_topic(kafka_settings, TOPIC, **offset_bounds):  # type: ignore[arg-type]  # only bounds
        partition = message.partition()
        assert partition is not None
        assert message.value() == b"%d" % (message.offset() or 0)
        offsets_by_partition.setdefault(partition, []).append(message.offset())
    return dict(sorted(offsets_by_partition.items()))


def test_without_bounds_all_records_are_read_in_order(kafka_settings: dict[str, str]) -> None:
    assert read_offsets(kafka_settings) == {number: [*range(10)] for number in range(4)}


def test_the_time_in_which_the_caller_handles_a_batch_is_not_a_wait(
    kafka_settings: dict[str, str],
) -> None:
    times = [0.0]
    values = []
    for message in read_topic(kafka_settings, TOPIC, clock=lambda: times[-1]):
        values.append(message.value())
        times.append(times[-1] + 100)

    assert len(values) == 40


def test_bounds_select_partitions_and_offsets(kafka_settings: dict[str, str]) -> None:
    offsets_by_partition = read_offsets(kafka_settings, begin={0: 3, 2: 9, 3: 10}, end={0: 5})

    assert offsets_by_partition == {0: [3, 4], 2: [9]}


def test_the_reader_does_not_wait_for_an_end_beyond_the_last_record(
    kafka_settings: dict[str, str],
) -> None:
    assert read_offsets(kafka_settings, begin={1: 8}, end={1: 1_000}) == {1: [8, 9]}


def test_the_error_names_a_missing_topic(kafka_settings: dict[str, str]) -> None:
    with pytest.raises(BrokerUnavailable, match='"missing"'):
        list(read_topic(kafka_settings, "missing"))


def test_an_empty_topic_ends_at_once(
    kafka_settings: dict[str, str], embedded_broker: EmbeddedBroker
) -> None:
    embedded_broker.create_topic("empty")

    assert list(read_topic(kafka_settings, "empty")) == []


@pytest.fixture
def three_brokers() -> Iterator[MockCluster]:
    """Return three brokers. The second broker leads the only partition of the topic `input`."""
    with MockCluster(brokers=3) as cluster:
        cluster.create_topic("input")
        cluster.set_partition_leader("input", 0, 2)
        yield cluster


def test_a_request_reaches_the_new_leader_after_the_old_leader_stopped_answering(
    three_brokers: MockCluster,
) -> None:
    """The client learns the new leader only from a metadata request."""
    config = reader_config({"bootstrap.servers": three_brokers.address}, group="g")
    consumer = Consumer(config, logger=silent_logger())
    partition = TopicPartition("input", 0)
    try:
        assert partition_bounds(consumer, partition, retry=RetryPolicy(5.0)) == (0, 0)
        three_brokers.set_delay(60_000, broker=2)
        three_brokers.set_partition_leader("input", 0, 1)
        for _ in range(2):
            with pytest.raises(KafkaException, match="_TIMED_OUT"):
                consumer.get_watermark_offsets(partition, 0.5)

        def request() -> tuple[int, int]:
            return consumer.get_watermark_offsets(partition, 0.5)

        assert ask_leader(consumer, "input", request, retry=RetryPolicy(30.0)) == (0, 0)
    finally:
        three_brokers.set_delay(0, broker=2)
        consumer.close()


@pytest.mark.parametrize(
    ("code", "partitions"),
    [(KafkaError.UNKNOWN_TOPIC_OR_PART, []), (KafkaError.LEADER_NOT_AVAILABLE, [0, 1])],
)
def test_only_a_topic_that_does_not_exist_has_no_partitions(
    mock_cluster: MockCluster, code: int, partitions: list[int]
) -> None:
    """A missing ledger topic counts as an empty ledger, but a transient error must not."""
    mock_cluster.create_topic("ledger", 2)
    mock_cluster.set_topic_error("ledger", code)
    config = reader_config({"bootstrap.servers": mock_cluster.address}, group="g")
    consumer = Consumer(config, logger=silent_logger())
    try:
        assert topic_partitions(consumer, "ledger") == partitions
    finally:
        consumer.close()


def test_a_topic_with_a_broker_error_does_not_count_as_missing(
    mock_cluster: MockCluster,
) -> None:
    mock_cluster.create_topic("ledger", 2)
    mock_cluster.set_topic_error("ledger", KafkaError.KAFKA_STORAGE_ERROR)
    config = reader_config({"bootstrap.servers": mock_cluster.address}, group="g")
    consumer = Consumer(config, logger=silent_logger())
    try:
        with pytest.raises(BrokerUnavailable):
            topic_partitions(consumer, "ledger", retry=RetryPolicy(0.5))
    finally:
        consumer.close()
