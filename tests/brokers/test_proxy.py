"""The broker stores records even if the proxy drops its answers or closes connections."""

from contextlib import suppress

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.brokers.kafka import Kafka
from tests.brokers.protocol import Api
from tests.brokers.proxy import KafkaProxy, Loss

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def a_producer(address: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": address, "transactional.id": name, "log_level": 0})
    producer.init_transactions(20)
    return producer


def committed_values(address: str, topic: str, count: int) -> list[bytes | str | None]:
    """Return the values of the first `count` committed records."""
    config = {"bootstrap.servers": address, "group.id": "r", "isolation.level": "read_committed"}
    with Consumer(config) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, 20)]


@pytest.mark.parametrize("loss", list(Loss))
def test_a_transaction_whose_answer_is_dropped_is_committed(
    proxied_kafka: tuple[Kafka, KafkaProxy], loss: Loss
) -> None:
    kafka, proxy = proxied_kafka
    topic = kafka.create_unique_topic("dropped")
    producer = a_producer(kafka.address, topic)
    old_count = proxy.lost_answers(Api.END_TXN)
    producer.begin_transaction()
    producer.produce(topic, b"only once")
    producer.flush(10)

    proxy.lose_answers(Api.END_TXN, loss=loss)
    with suppress(KafkaException):
        producer.commit_transaction(2)

    assert proxy.lost_answers(Api.END_TXN) == old_count + 1
    assert committed_values(kafka.address, topic, 1) == [b"only once"]


def test_a_dropped_answer_does_not_reach_the_client(
    proxied_kafka: tuple[Kafka, KafkaProxy],
) -> None:
    kafka, proxy = proxied_kafka
    topic = kafka.create_unique_topic("silent")
    producer = a_producer(kafka.address, topic)
    producer.begin_transaction()
    producer.produce(topic, b"x")
    producer.flush(10)
    proxy.lose_answers(Api.END_TXN, loss=Loss.OPEN_CONNECTION)

    with pytest.raises(KafkaException):
        producer.commit_transaction(1)


def test_a_client_connects_again_after_its_connections_were_closed(
    proxied_kafka: tuple[Kafka, KafkaProxy],
) -> None:
    kafka, proxy = proxied_kafka
    topic = kafka.create_unique_topic("cut")
    producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
    producer.produce(topic, b"1")
    assert producer.flush(10) == 0
    old_count = proxy.request_count(Api.METADATA)

    proxy.close_all_connections()
    producer.produce(topic, b"2")

    assert producer.flush(10) == 0
    assert committed_values(kafka.address, topic, 2) == [b"1", b"2"]
    assert proxy.request_count(Api.METADATA) > old_count
