"""The mock cluster answers requests with the errors, delays and leaders that a test chooses."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.brokers.mock_cluster import MockCluster
from tests.brokers.protocol import Api

pytestmark = pytest.mark.embedded

INPUT_TOPIC = "input"
OUTPUT_TOPIC = "output"


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    mock_cluster.create_topic(INPUT_TOPIC)
    mock_cluster.create_topic(OUTPUT_TOPIC)
    return mock_cluster


@pytest.fixture
def consumer(cluster: MockCluster) -> Iterator[Consumer]:
    config = {"bootstrap.servers": cluster.address, "group.id": "group", "log_level": 0}
    with Consumer({**config, "auto.offset.reset": "earliest"}) as consumer:
        yield consumer


def a_producer(cluster: MockCluster, **settings: Any) -> Producer:
    config = {"bootstrap.servers": cluster.address, "log_level": 0}
    return Producer({**config, "transactional.id": "writer", **settings})


def run_transaction(producer: Producer, consumer: Consumer) -> None:
    """Run a transaction with the client calls that the consumer makes for each micro-batch."""
    producer.init_transactions(5)
    producer.begin_transaction()
    producer.produce(OUTPUT_TOPIC, b"event")
    offsets = [TopicPartition(INPUT_TOPIC, 0, 1)]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 5)
    producer.commit_transaction(5)


def test_without_injected_errors_a_transaction_succeeds(
    cluster: MockCluster, consumer: Consumer
) -> None:
    cluster.track_requests()

    run_transaction(a_producer(cluster), consumer)

    requests = cluster.requests()
    assert [requests.count(api) for api in (Api.INIT_PRODUCER_ID, Api.END_TXN)] == [1, 1]
    assert {Api.PRODUCE, Api.ADD_OFFSETS_TO_TXN, Api.TXN_OFFSET_COMMIT} <= set(requests)


@pytest.mark.parametrize(
    ("api", "injected_code", "client_code"),
    [
        (
            Api.INIT_PRODUCER_ID,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ),
        (
            Api.ADD_PARTITIONS_TO_TXN,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
        ),
        (Api.ADD_OFFSETS_TO_TXN, KafkaError.PRODUCER_FENCED, KafkaError._FENCED),
        (
            Api.TXN_OFFSET_COMMIT,
            KafkaError.ILLEGAL_GENERATION,
            KafkaError.ILLEGAL_GENERATION,
        ),
        (Api.PRODUCE, KafkaError.INVALID_REQUIRED_ACKS, KafkaError.INVALID_REQUIRED_ACKS),
        (Api.END_TXN, KafkaError.PRODUCER_FENCED, KafkaError._FENCED),
        (Api.END_TXN, KafkaError.INVALID_TXN_STATE, KafkaError.INVALID_TXN_STATE),
    ],
    ids=lambda value: value.name if isinstance(value, Api) else str(value),
)
def test_an_injected_error_reaches_the_client(
    cluster: MockCluster, consumer: Consumer, api: Api, injected_code: int, client_code: int
) -> None:
    """The client may already be in the state of the error when the transaction is committed.

    Then it reports only this state, so the transaction is tried again.
    """
    assert any(
        client_code in errors_of_a_transaction(cluster, consumer, api, injected_code)
        for _ in range(3)
    )


def errors_of_a_transaction(
    cluster: MockCluster, consumer: Consumer, api: Api, injected_code: int
) -> list[int]:
    """Return the errors of a new producer's transaction, in which requests of `api` fail."""
    cluster.push_request_errors(api, [injected_code] * 10)
    errors: list[int] = []
    producer = a_producer(
        cluster, on_delivery=lambda error, _: errors.append(error.code()) if error else None
    )
    try:
        run_transaction(producer, consumer)
    except KafkaException as error:
        errors.append(error.args[0].code())
    with suppress(KafkaException):  # a fatal error is raised again
        producer.flush(2)
    return errors


def test_an_answer_is_delayed(cluster: MockCluster) -> None:
    cluster.push_request_errors_with_delays(Api.INIT_PRODUCER_ID, [(KafkaError.NO_ERROR, 300)])
    producer = a_producer(cluster)

    start = time.monotonic()
    producer.init_transactions(5)

    assert time.monotonic() - start >= 0.3


def test_a_broker_that_was_down_answers_again(cluster: MockCluster) -> None:
    delivery_errors: list[KafkaError | None] = []

    def store_error(error: KafkaError | None, _: Message) -> None:
        delivery_errors.append(error)

    config = {"bootstrap.servers": cluster.address, "log_level": 0, "reconnect.backoff.max.ms": 200}
    producer = Producer(config)
    cluster.stop_broker()
    producer.produce(OUTPUT_TOPIC, b"x", on_delivery=store_error)
    assert producer.flush(0.3) == 1
    assert not delivery_errors

    cluster.restart_broker()

    assert producer.flush(5) == 0
    assert delivery_errors == [None]


def test_a_partition_gets_the_leader_that_is_set() -> None:
    with MockCluster(brokers=2) as cluster:
        cluster.create_topic(OUTPUT_TOPIC)
        cluster.set_partition_leader(OUTPUT_TOPIC, 0, 2)
        producer = Producer({"bootstrap.servers": cluster.address, "log_level": 0})

        metadata = producer.list_topics(OUTPUT_TOPIC, timeout=5).topics[OUTPUT_TOPIC]

        assert metadata.partitions[0].leader == 2
