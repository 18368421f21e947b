"""A real Kafka returns committed records, also after a kill."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.brokers.kafka import Kafka


def _write_committed(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address, "transactional.id": f"writer-{topic}"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.commit_transaction(20)


def _read_first_value(address: str, topic: str) -> bytes | str | None:
    config = {"bootstrap.servers": address, "group.id": "reader", "auto.offset.reset": "error"}
    with Consumer(config) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        assert message is not None
        return message.value()


@pytest.mark.broker
def test_a_committed_record_can_be_read(kafka: Kafka) -> None:
    topic = kafka.create_unique_topic("roundtrip")

    _write_committed(kafka.address, topic, b"hello")

    assert _read_first_value(kafka.address, topic) == b"hello"


@pytest.mark.broker
@pytest.mark.slow
def test_a_committed_record_survives_a_kill_of_the_broker(own_kafka: Kafka) -> None:
    topic = own_kafka.create_unique_topic("restart")
    address = own_kafka.address
    _write_committed(address, topic, b"before")

    own_kafka.kill()
    own_kafka.restart()

    assert own_kafka.address == address
    assert _read_first_value(address, topic) == b"before"
