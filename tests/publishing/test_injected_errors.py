"""For each error code of a broker, the outbox raises the expected error of this project."""

from collections.abc import Iterator, Mapping

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from sensorwatch.common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    SensorwatchError,
    Unrecoverable,
)
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.brokers.child_processes import wait_until
from tests.brokers.mock_cluster import MockCluster
from tests.brokers.protocol import Api

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

STALE_MEMBER_EPOCH = 113  # KafkaError has no name for this code
MESSAGE = OutgoingMessage("output", None, b"event", [])
COMMITS = [Commit(Partition("input", 0), 1, "account")]
STATE_TOPIC = "state"

BROKER_ERRORS = [
    # Errors of produce requests.
    (Api.PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
    (Api.PRODUCE, KafkaError.INVALID_PRODUCER_ID_MAPPING, OutcomeUnknown),
    (Api.PRODUCE, KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
    # librdkafka reports a producer with an old epoch as fenced.
    (Api.PRODUCE, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (Api.PRODUCE, KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
    (Api.PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED, Unrecoverable),
    # Errors of requests that add offsets to a transaction.
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.PRODUCER_FENCED, Fenced),
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.INVALID_TXN_STATE, Unrecoverable),
    # Errors of requests that commit offsets in a transaction.
    (Api.TXN_OFFSET_COMMIT, KafkaError.ILLEGAL_GENERATION, MicroBatchAborted),
    (Api.TXN_OFFSET_COMMIT, KafkaError.UNKNOWN_MEMBER_ID, MicroBatchAborted),
    (Api.TXN_OFFSET_COMMIT, STALE_MEMBER_EPOCH, MicroBatchAborted),
    (Api.TXN_OFFSET_COMMIT, KafkaError.REBALANCE_IN_PROGRESS, MicroBatchAborted),
    (Api.TXN_OFFSET_COMMIT, KafkaError.FENCED_INSTANCE_ID, Fenced),
    (Api.TXN_OFFSET_COMMIT, KafkaError.OFFSET_METADATA_TOO_LARGE, Unrecoverable),
    (Api.TXN_OFFSET_COMMIT, KafkaError.GROUP_AUTHORIZATION_FAILED, Unrecoverable),
    # Errors of requests that end a transaction.
    (Api.END_TXN, KafkaError.PRODUCER_FENCED, Fenced),
    (Api.END_TXN, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (Api.END_TXN, KafkaError.INVALID_TXN_STATE, OutcomeUnknown),
    (Api.END_TXN, KafkaError.INVALID_PRODUCER_ID_MAPPING, OutcomeUnknown),
    (Api.END_TXN, KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
    (Api.END_TXN, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Unrecoverable),
    # Errors after which a retry by the client or the outbox succeeds.
    (Api.END_TXN, KafkaError.COORDINATOR_NOT_AVAILABLE, None),
    (Api.END_TXN, KafkaError._TRANSPORT, None),
    (Api.PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION, None),
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, None),
    (Api.TXN_OFFSET_COMMIT, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, None),
]


def fixed_commit_plan(_manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
    return CommitPlan([], COMMITS)


def parameter_id(value: object) -> str:
    if isinstance(value, Api):
        return value.name
    if isinstance(value, int):
        return str(KafkaError(value).name())
    return value.__name__ if isinstance(value, type) else "committed"


class OutboxRig:
    """Creates transactional outboxes on the mock cluster and stores their producers."""

    def __init__(
        self, cluster: MockCluster, *, deadline_seconds: float = 5.0, idle_seconds: float = 10.0
    ) -> None:
        self.cluster = cluster
        self.start_seconds = 10.0
        self.deadline_seconds = deadline_seconds
        self.idle_seconds = idle_seconds
        self.producers: list[Producer] = []
        self.reported_errors: list[KafkaError] = []
        config = {"bootstrap.servers": cluster.address, "group.id": "group"}
        self.consumer = Consumer(config, logger=silent_logger())

    def outbox(self) -> TransactionalOutbox:
        return TransactionalOutbox(
            self._new_producer,
            transactional_id="writer",
            start_seconds=self.start_seconds,
            transaction_seconds=self.deadline_seconds,
            state_topic=STATE_TOPIC,
        )

    def publish(self, outbox: TransactionalOutbox, messages: Iterator[OutgoingMessage]) -> None:
        outbox.publish(messages, fixed_commit_plan, self.consumer.consumer_group_metadata())

    def _new_producer(self) -> Producer:
        short_delays = {"retry.backoff.ms": 20, "reconnect.backoff.ms": 20, "linger.ms": 0}
        idle_timeout = {"connections.max.idle.ms": int(self.idle_seconds * 1000)}
        kafka = {"bootstrap.servers": self.cluster.address, **short_delays, **idle_timeout}
        config = producer_config(kafka, transactional_id="writer")
        callbacks = {
            "error_cb": self.reported_errors.append,
            "on_delivery": self._store_delivery_error,
        }
        self.producers.append(Producer(config | callbacks, logger=silent_logger()))
        return self.producers[-1]

    def _store_delivery_error(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self.reported_errors.append(error)


@pytest.fixture
def rig(mock_cluster: MockCluster) -> Iterator[OutboxRig]:
    mock_cluster.create_topic("input")
    mock_cluster.create_topic("output")
    rig = OutboxRig(mock_cluster)
    yield rig
    rig.consumer.close()


@pytest.mark.parametrize(("api", "code", "error_class"), BROKER_ERRORS, ids=parameter_id)
def test_each_broker_error_is_solved_or_raised_as_a_project_error(
    rig: OutboxRig, api: Api, code: int, error_class: type[SensorwatchError] | None
) -> None:
    """The outbox creates a new producer only after an unknown outcome."""
    outbox = rig.outbox()
    rig.cluster.push_request_errors(api, [code])

    if error_class is None:
        rig.publish(outbox, iter([MESSAGE]))
    else:
        with pytest.raises(error_class) as error_info:
            rig.publish(outbox, iter([MESSAGE]))
        assert type(error_info.value) is error_class

    assert len(rig.producers) == (2 if error_class is OutcomeUnknown else 1)
    if error_class in (MicroBatchAborted, OutcomeUnknown, None):  # the outbox can publish again
        rig.publish(outbox, iter([MESSAGE]))
    outbox.close()


@pytest.mark.parametrize(
    ("api", "code", "error_class"),
    [
        (Api.PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
        (Api.PRODUCE, KafkaError.INVALID_PRODUCER_ID_MAPPING, OutcomeUnknown),
        (Api.PRODUCE, KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
        (Api.PRODUCE, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
        (Api.ADD_PARTITIONS_TO_TXN, KafkaError.PRODUCER_FENCED, Fenced),
        (Api.ADD_PARTITIONS_TO_TXN, KafkaError.TOPIC_AUTHORIZATION_FAILED, Unrecoverable),
    ],
    ids=parameter_id,
)
def test_an_error_between_two_messages_is_raised_with_its_cause(
    rig: OutboxRig, api: Api, code: int, error_class: type[SensorwatchError]
) -> None:
    """The next produce() reports only an "erroneous state", but the outbox raises the cause."""
    outbox = rig.outbox()
    rig.cluster.push_request_errors(api, [code])

    def messages() -> Iterator[OutgoingMessage]:
        yield MESSAGE
        wait_until(transaction_has_failed, deadline=5, what="the transaction to fail")
        yield MESSAGE

    def transaction_has_failed() -> bool:
        try:
            rig.producers[0].poll(0.02)
        except KafkaException:
            return True  # a fatal error
        return bool(rig.reported_errors)

    with pytest.raises(error_class) as error_info:
        rig.publish(outbox, messages())

    assert type(error_info.value) is error_class
    assert len(rig.producers) == (2 if error_class is OutcomeUnknown else 1)
    outbox.close()


def test_a_commit_without_an_answer_until_the_deadline_renews_the_producer(rig: OutboxRig) -> None:
    rig.deadline_seconds = 1.0
    outbox = rig.outbox()
    rig.cluster.push_request_errors(Api.END_TXN, [KafkaError.COORDINATOR_NOT_AVAILABLE] * 1000)

    with pytest.raises(OutcomeUnknown, match="_TIMED_OUT"):
        rig.publish(outbox, iter([MESSAGE]))

    assert len(rig.producers) == 2
    rig.cluster.clear_request_errors(Api.END_TXN)
    rig.publish(outbox, iter([MESSAGE]))


def test_a_second_broken_producer_in_a_row_ends_the_process(rig: OutboxRig) -> None:
    outbox = rig.outbox()
    for _ in range(2):
        rig.cluster.push_request_errors(Api.END_TXN, [KafkaError.INVALID_TXN_STATE])
        with pytest.raises(SensorwatchError) as error_info:
            rig.publish(outbox, iter([MESSAGE]))

    assert type(error_info.value) is Unrecoverable
    assert "twice in a row" in str(error_info.value)


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.PRODUCER_FENCED, Fenced),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, BrokerUnavailable),
    ],
    ids=parameter_id,
)
def test_the_error_of_a_refused_start_names_the_transactional_id(
    rig: OutboxRig, code: int, error_class: type[SensorwatchError]
) -> None:
    rig.cluster.push_request_errors(Api.INIT_PRODUCER_ID, [code])

    with pytest.raises(error_class, match="writer"):
        rig.outbox()


def test_a_start_waits_for_a_loading_coordinator_until_the_deadline(rig: OutboxRig) -> None:
    error_code = KafkaError.COORDINATOR_LOAD_IN_PROGRESS
    rig.cluster.push_request_errors(Api.INIT_PRODUCER_ID, [error_code])
    rig.outbox()

    rig.start_seconds = 0.5
    rig.cluster.push_request_errors(Api.INIT_PRODUCER_ID, [error_code] * 1000)
    with pytest.raises(BrokerUnavailable, match=r"within 0\.5 s"):
        rig.outbox()


def test_a_group_coordinator_that_was_killed_and_replaced_is_found_again() -> None:
    """The client waits for the killed coordinator until one of its connections is closed.

    Therefore the client closes idle connections; see librdkafka's issue 5511.
    """
    with MockCluster(brokers=3) as cluster:
        rig = OutboxRig(cluster, deadline_seconds=10.0, idle_seconds=1.0)
        outbox = replace_group_coordinator(rig)

        rig.publish(outbox, iter([MESSAGE]))

        assert len(rig.producers) == 1
        outbox.close()
        rig.consumer.close()


def test_a_client_that_waits_for_a_killed_group_coordinator_is_abandoned() -> None:
    """The client ignores the timeout of this call; see librdkafka's issue 5456."""
    with MockCluster(brokers=3) as cluster:
        rig = OutboxRig(cluster, deadline_seconds=2.0, idle_seconds=0.0)
        outbox = replace_group_coordinator(rig)

        with pytest.raises(OutcomeUnknown, match="send offsets: _TIMED_OUT: no answer"):
            rig.publish(outbox, iter([MESSAGE]))
        rig.publish(outbox, iter([MESSAGE]))

        assert len(rig.producers) == 2
        outbox.close()
        rig.consumer.close()


def replace_group_coordinator(rig: OutboxRig) -> TransactionalOutbox:
    """Publish a message, stop the coordinator of the group and make broker 3 the coordinator."""
    rig.cluster.create_topic("input")
    rig.cluster.create_topic("output")
    rig.cluster.set_transaction_coordinator("writer", 1)
    rig.cluster.set_partition_leader("output", 0, 1)
    rig.cluster.set_group_coordinator("group", 2)
    outbox = rig.outbox()
    rig.publish(outbox, iter([MESSAGE]))
    rig.cluster.stop_broker(2)
    live_brokers = rig.producers[0].list_topics(timeout=5).brokers
    assert sorted(live_brokers) == [1, 3]
    rig.cluster.set_group_coordinator("group", 3)
    return outbox


def test_closing_aborts_an_open_transaction(rig: OutboxRig) -> None:
    outbox = rig.outbox()
    rig.cluster.track_requests()

    def messages_with_error() -> Iterator[OutgoingMessage]:
        yield MESSAGE
        wait_until(lambda: rig.producers[0].flush(0.1) == 0, deadline=5, what="delivery")
        raise KafkaException(KafkaError(KafkaError._FAIL))

    with pytest.raises(KafkaException):
        rig.publish(outbox, messages_with_error())
    assert Api.END_TXN not in rig.cluster.requests()
    outbox.close()

    assert Api.END_TXN in rig.cluster.requests()


def test_the_transaction_after_a_lost_connection_succeeds(rig: OutboxRig) -> None:
    """With the client's default `metadata.recovery.strategy` the second transaction hangs."""
    outbox = rig.outbox()
    rig.cluster.push_request_errors(Api.PRODUCE, [KafkaError._TRANSPORT])
    rig.publish(outbox, iter([MESSAGE]))

    rig.publish(outbox, iter([MESSAGE]))

    assert len(rig.producers) == 1
