"""If a broker refuses a record of a snapshot, each outbox raises the right error for the code."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from sensorwatch.common.errors import (
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    SensorwatchError,
    Unrecoverable,
)
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import CommitPlan
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.brokers.mock_cluster import MockCluster
from tests.brokers.protocol import Api
from tests.kafka.snapshot_builders import a_snapshot
from tests.publishing.test_injected_errors import COMMITS, STATE_TOPIC, OutboxRig, parameter_id

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

SNAPSHOT = a_snapshot(b"content", source=Partition("input", 0))


@pytest.fixture
def rig(mock_cluster: MockCluster) -> Iterator[OutboxRig]:
    for topic in ("input", STATE_TOPIC):
        mock_cluster.create_topic(topic)
    rig = OutboxRig(mock_cluster)
    yield rig
    rig.consumer.close()


def publish_snapshot(rig: OutboxRig, outbox: TransactionalOutbox | FlushingOutbox) -> int:
    """Publish a snapshot and no other messages; return the offset of the snapshot's manifest."""
    offsets: list[int] = []

    def plan_commit(manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
        offsets.extend(manifest_offsets.values())
        return CommitPlan([], COMMITS)

    membership = rig.consumer.consumer_group_metadata()
    outbox.publish([], plan_commit, membership, snapshots=[SNAPSHOT])
    (manifest_offset,) = offsets
    return manifest_offset


class ProducerWithLostException(Producer):
    """A producer whose first flush() raises SystemError instead of the client's exception."""

    has_lost_exception = False

    def flush(self, *seconds: float) -> int:
        if self.has_lost_exception:
            return int(super().flush(*seconds))
        self.has_lost_exception = True
        with suppress(KafkaException):
            super().flush(*seconds)
        raise SystemError("flush returned NULL without setting an exception")


@pytest.mark.parametrize(
    ("code", "error_class"), [(None, None), (KafkaError.INVALID_PRODUCER_EPOCH, Fenced)]
)
def test_an_exception_that_the_client_lost_is_raised_by_the_next_call(
    rig: OutboxRig,
    monkeypatch: pytest.MonkeyPatch,
    code: int | None,
    error_class: type[SensorwatchError] | None,
) -> None:
    monkeypatch.setattr("tests.publishing.test_injected_errors.Producer", ProducerWithLostException)
    outbox = rig.outbox()
    if code is None or error_class is None:
        assert publish_snapshot(rig, outbox) > 0
    else:
        rig.cluster.push_request_errors(Api.PRODUCE, [code])
        with pytest.raises(error_class):
            publish_snapshot(rig, outbox)
    (producer,) = rig.producers
    assert isinstance(producer, ProducerWithLostException)
    assert producer.has_lost_exception


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
        (KafkaError.INVALID_PRODUCER_ID_MAPPING, OutcomeUnknown),
        (KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
        (KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Unrecoverable),
        (KafkaError.NOT_LEADER_FOR_PARTITION, None),
        (KafkaError._TRANSPORT, None),
    ],
    ids=parameter_id,
)
@pytest.mark.parametrize("preceding_successes", [0, 1], ids=["chunk", "manifest"])
def test_each_broker_error_of_a_snapshot_is_solved_or_raised(
    rig: OutboxRig, preceding_successes: int, code: int, error_class: type[SensorwatchError] | None
) -> None:
    outbox = rig.outbox()
    rig.cluster.push_request_errors(Api.PRODUCE, [0] * preceding_successes + [code])

    if error_class is None:
        publish_snapshot(rig, outbox)
    else:
        with pytest.raises(error_class) as error_info:
            publish_snapshot(rig, outbox)
        assert type(error_info.value) is error_class

    assert len(rig.producers) == (2 if error_class is OutcomeUnknown else 1)
    if error_class in (MicroBatchAborted, OutcomeUnknown, None):  # the outbox can publish again
        publish_snapshot(rig, outbox)
    outbox.close()


@pytest.mark.parametrize("preceding_successes", [0, 1], ids=["chunk", "manifest"])
def test_a_stored_record_without_an_offset_aborts_the_micro_batch(
    rig: OutboxRig, preceding_successes: int
) -> None:
    """After this error a real broker has the record but the mock cluster has not.

    Therefore the test publishes no further record.
    """
    outbox = rig.outbox()
    rig.cluster.push_request_errors(
        Api.PRODUCE, [0] * preceding_successes + [KafkaError.DUPLICATE_SEQUENCE_NUMBER]
    )

    with pytest.raises(MicroBatchAborted, match="DUPLICATE"):
        publish_snapshot(rig, outbox)

    assert len(rig.producers) == 1
    outbox.close()


def test_a_chunk_without_an_answer_until_the_deadline_renews_the_producer(rig: OutboxRig) -> None:
    rig.deadline_seconds = 1.0
    outbox = rig.outbox()
    rig.cluster.push_request_errors(Api.PRODUCE, [KafkaError.NOT_LEADER_FOR_PARTITION] * 1_000)

    with pytest.raises(OutcomeUnknown):
        publish_snapshot(rig, outbox)

    assert len(rig.producers) == 2
    rig.cluster.clear_request_errors(Api.PRODUCE)
    publish_snapshot(rig, outbox)


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.DUPLICATE_SEQUENCE_NUMBER, MicroBatchAborted),
        (KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
        (KafkaError.NOT_LEADER_FOR_PARTITION, None),
    ],
    ids=parameter_id,
)
def test_the_flushing_outbox_solves_or_raises_each_broker_error(
    rig: OutboxRig, code: int, error_class: type[SensorwatchError] | None
) -> None:
    kafka = {"bootstrap.servers": rig.cluster.address, "retry.backoff.ms": 20, "linger.ms": 0}
    outbox = FlushingOutbox(
        Producer(producer_config(kafka), logger=silent_logger()),
        lambda offsets: offsets,
        deadline_seconds=5,
        state_topic=STATE_TOPIC,
    )
    rig.cluster.push_request_errors(Api.PRODUCE, [code])

    if error_class is None:
        assert publish_snapshot(rig, outbox) == 1
        return
    with pytest.raises(error_class):
        publish_snapshot(rig, outbox)
    if error_class is MicroBatchAborted:
        assert publish_snapshot(rig, outbox) >= 1
