"""A topic is read as of now, without a group."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import quiet_logger
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
def kafka(embedded_broker: EmbeddedBroker) -> dict[str, str]:
    """Ten records in each of four partitions."""
    embedded_broker.create_topic(TOPIC)
    kafka = {"bootstrap.servers": embedded_broker.address}
    producer = Producer(kafka, logger=quiet_logger())
    for number in range(40):
        producer.produce(TOPIC, b"%d" % (number // 4), partition=number % 4)
    assert producer.flush(10) == 0
    return kafka


def offsets(kafka: dict[str, str], **bounds: dict[int, int]) -> dict[int, list[int | None]]:
    actual: dict[int, list[int | None]] = {}
    for message in read_topic(kafka, TOPIC, **bounds):  # type: ignore[arg-type]  # only bounds
        partition = message.partition()
        assert partition is not None
        assert message.value() == b"%d" % (message.offset() or 0)
        actual.setdefault(partition, []).append(message.offset())
    return dict(sorted(actual.items()))


def test_without_bounds_everything_is_read_in_order(kafka: dict[str, str]) -> None:
    assert offsets(kafka) == {number: [*range(10)] for number in range(4)}


def test_bounds_choose_partitions_and_offsets(kafka: dict[str, str]) -> None:
    actual = offsets(kafka, begin={0: 3, 2: 9, 3: 10}, end={0: 5})

    assert actual == {0: [3, 4], 2: [9]}


def test_an_end_behind_the_last_record_is_not_waited_for(kafka: dict[str, str]) -> None:
    assert offsets(kafka, begin={1: 8}, end={1: 1_000}) == {1: [8, 9]}


def test_a_topic_that_is_missing_is_named(kafka: dict[str, str]) -> None:
    with pytest.raises(BrokerUnavailable, match='"nowhere"'):
        list(read_topic(kafka, "nowhere"))


def test_an_empty_topic_ends_at_once(
    kafka: dict[str, str], embedded_broker: EmbeddedBroker
) -> None:
    embedded_broker.create_topic("empty")

    assert list(read_topic(kafka, "empty")) == []


@pytest.fixture
def silent_leader() -> Iterator[MockCluster]:
    """Give three brokers; the second leads the only partition of `input`."""
    with MockCluster(brokers=3) as cluster:
        cluster.topic_create("input")
        cluster.set_partition_leader("input", 0, 2)
        yield cluster


def test_a_leader_that_is_gone_is_not_asked_again_and_again(silent_leader: MockCluster) -> None:
    """The client keeps the known leader; only reading the metadata gives it the new one."""
    config = reader_config({"bootstrap.servers": silent_leader.address}, group="g")
    consumer = Consumer(config, logger=quiet_logger())
    where = TopicPartition("input", 0)
    try:
        assert partition_bounds(consumer, where, retry=RetryPolicy(5.0)) == (0, 0)
        silent_leader.set_delay(60_000, broker=2)
        silent_leader.set_partition_leader("input", 0, 1)
        for _ in range(2):
            with pytest.raises(KafkaException, match="_TIMED_OUT"):
                consumer.get_watermark_offsets(where, 0.5)

        def question() -> tuple[int, int]:
            return consumer.get_watermark_offsets(where, 0.5)

        assert ask_leader(consumer, "input", question, retry=RetryPolicy(30.0)) == (0, 0)
    finally:
        silent_leader.set_delay(0, broker=2)
        consumer.close()


@pytest.mark.parametrize(
    ("code", "partitions"),
    [(KafkaError.UNKNOWN_TOPIC_OR_PART, []), (KafkaError.LEADER_NOT_AVAILABLE, [0, 1])],
)
def test_only_a_topic_that_does_not_exist_has_no_partitions(
    mock_cluster: MockCluster, code: int, partitions: list[int]
) -> None:
    """An absent ledger is an empty one, so one that cannot be seen now must not count as absent."""
    mock_cluster.topic_create("ledger", 2)
    mock_cluster.topic_set_error("ledger", code)
    config = reader_config({"bootstrap.servers": mock_cluster.address}, group="g")
    consumer = Consumer(config, logger=quiet_logger())
    try:
        assert topic_partitions(consumer, "ledger") == partitions
    finally:
        consumer.close()


def test_a_topic_that_cannot_be_seen_now_is_not_taken_for_absent(
    mock_cluster: MockCluster,
) -> None:
    mock_cluster.topic_create("ledger", 2)
    mock_cluster.topic_set_error("ledger", KafkaError.KAFKA_STORAGE_ERROR)
    config = reader_config({"bootstrap.servers": mock_cluster.address}, group="g")
    consumer = Consumer(config, logger=quiet_logger())
    try:
        with pytest.raises(BrokerUnavailable):
            topic_partitions(consumer, "ledger", retry=RetryPolicy(0.5))
    finally:
        consumer.close()
