"""A topic is read as of now, without a group."""

import pytest
from confluent_kafka import Producer

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.embedded import EmbeddedBroker
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.kafka.topic_reader import read_topic

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
    found: dict[int, list[int | None]] = {}
    for message in read_topic(kafka, TOPIC, **bounds):  # type: ignore[arg-type]  # only bounds
        partition = message.partition()
        assert partition is not None
        assert message.value() == b"%d" % (message.offset() or 0)
        found.setdefault(partition, []).append(message.offset())
    return dict(sorted(found.items()))


def test_without_bounds_everything_is_read_in_order(kafka: dict[str, str]) -> None:
    assert offsets(kafka) == {number: [*range(10)] for number in range(4)}


def test_bounds_choose_partitions_and_offsets(kafka: dict[str, str]) -> None:
    found = offsets(kafka, begin={0: 3, 2: 9, 3: 10}, end={0: 5})

    assert found == {0: [3, 4], 2: [9]}


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
