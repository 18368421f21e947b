"""The embedded broker stores records and committed offsets, and can be closed."""

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from sensorwatch.demo.embedded_broker import PARTITIONS, EmbeddedBroker

pytestmark = pytest.mark.embedded


def test_a_record_sent_to_the_embedded_broker_can_be_read(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("sensors")
    client = {"bootstrap.servers": embedded_broker.address}
    producer = Producer(client)
    producer.produce("sensors", b"row", partition=PARTITIONS - 1)
    assert producer.flush(5) == 0

    with Consumer({**client, "group.id": "reader"}) as consumer:
        consumer.assign([TopicPartition("sensors", PARTITIONS - 1, 0)])
        message = consumer.poll(5)

    assert message is not None
    assert message.value() == b"row"


def test_a_commit_keeps_its_metadata(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic("sensors")
    config = {"bootstrap.servers": embedded_broker.address, "group.id": "g"}
    with Consumer(config) as consumer:
        offsets = [TopicPartition("sensors", 0, 3, metadata="the ledger")]
        consumer.commit(offsets=offsets, asynchronous=False)

        (committed_offset,) = consumer.committed([TopicPartition("sensors", 0)], timeout=5)

    assert (committed_offset.offset, committed_offset.metadata) == (3, "the ledger")


def test_a_closed_broker_does_not_answer_and_can_be_closed_again() -> None:
    broker = EmbeddedBroker()
    address = broker.address
    broker.close()
    broker.close()

    with pytest.raises(KafkaException):
        Producer({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=0.3)
