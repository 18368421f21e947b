"""The outboxes publish the chunks of snapshots, then the manifests, then the commit plan."""

from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.errors import Fenced, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot, parse_snapshot_manifest
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import CommitPlan
from sensorwatch.consumer.publishing.snapshot_writing import DeliveryTracker
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.kafka.snapshot_builders import SOURCE_PARTITION, a_snapshot, read
from tests.publishing.outboxes import (
    COMMITS,
    MESSAGES,
    STATE_TOPIC,
    SUCCESSFUL_CALLS,
    ClientScenario,
    errors_of_call,
    kafka_exception,
    publish,
)

OTHER_SOURCE = Partition("in", 3)
SNAPSHOT, OTHER_SNAPSHOT = a_snapshot(b"0123456789"), a_snapshot(b"abcde", source=OTHER_SOURCE)
"""A snapshot of three chunks and a snapshot of two; a chunk has at most four bytes."""
Outbox = TransactionalOutbox | FlushingOutbox


def outbox_of(scenario: ClientScenario, kind: str) -> Outbox:
    return scenario.flushing_outbox() if kind == "flushing" else scenario.transactional_outbox()


def publish_snapshots(outbox: Outbox, *snapshots: Snapshot) -> Mapping[Partition, int]:
    offsets: dict[Partition, int] = {}

    def plan_commit(manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
        offsets.update(manifest_offsets)
        return CommitPlan([OutgoingMessage("ledger", None, b"account", [], 1)], COMMITS)

    outbox.publish(iter(MESSAGES), plan_commit, b"membership", snapshots=snapshots)
    return offsets


EACH_OUTBOX = pytest.mark.parametrize("kind", ["transactional", "flushing"])


@EACH_OUTBOX
def test_the_commit_plan_gets_the_offset_of_each_manifest(kind: str) -> None:
    scenario = ClientScenario()

    offsets = publish_snapshots(outbox_of(scenario, kind), SNAPSHOT, OTHER_SNAPSHOT)

    (producer,) = scenario.producers
    topics = [topic for topic, *_ in producer.produced_messages]
    assert topics == ["out"] * 3 + [STATE_TOPIC] * 7 + ["ledger"]
    assert producer.partitions == [-1] * 3 + [2, 2, 2, 3, 3] + [2, 3] + [1]
    assert offsets == {SOURCE_PARTITION: 108, OTHER_SOURCE: 109}
    values_by_offset = {
        100 + n: value for n, (_, _, value, _) in enumerate(producer.produced_messages)
    }
    for snapshot in (SNAPSHOT, OTHER_SNAPSHOT):
        assert (
            read(
                parse_snapshot_manifest(values_by_offset[offsets[snapshot.source]], "here"),
                values_by_offset,
            )
            == snapshot
        )


@EACH_OUTBOX
def test_chunks_and_manifests_are_delivered_before_their_offsets_are_used(kind: str) -> None:
    scenario = ClientScenario()

    publish_snapshots(outbox_of(scenario, kind), SNAPSHOT)

    # The calls produce 3 messages and 3 chunks, then the manifest, then the ledger record.
    snapshot_calls = [*["produce"] * 6, "flush", "produce", "flush", "produce"]
    first_calls, last_calls = {
        "transactional": (["init_transactions", SUCCESSFUL_CALLS[0]], SUCCESSFUL_CALLS[-2:]),
        "flushing": ([], ["flush", "commit"]),
    }[kind]
    assert scenario.calls == [*first_calls, *snapshot_calls, *last_calls]


def test_without_snapshots_there_is_no_delivery_report_and_no_flush() -> None:
    scenario = ClientScenario()

    publish(scenario.transactional_outbox())

    (producer,) = scenario.producers
    assert producer.deliveries == []
    assert "flush" not in scenario.calls


@EACH_OUTBOX
def test_an_unknown_offset_of_a_chunk_aborts_the_micro_batch(kind: str) -> None:
    """An offset is unknown if the client sent a chunk twice and got one answer only."""
    scenario = ClientScenario()
    scenario.offset_of = lambda number: -1001 if number == 4 else 100 + number
    outbox = outbox_of(scenario, kind)

    with pytest.raises(MicroBatchAborted):
        publish_snapshots(outbox, SNAPSHOT)

    assert not {"commit", "commit_transaction", "send_offsets_to_transaction"} & {*scenario.calls}
    scenario.offset_of = lambda number: 100 + number
    publish_snapshots(outbox, SNAPSHOT)
    assert len(scenario.producers) == 1


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
        (KafkaError._FENCED, Fenced),
        (KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
    ],
)
def test_the_outbox_raises_the_cause_of_an_undelivered_chunk(
    code: int, error_class: type[Exception]
) -> None:
    """A delivery report may only state that the chunk was dropped; the next call has the cause."""
    scenario = ClientScenario(send_offsets_to_transaction=[kafka_exception(code)])
    scenario.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(error_class):
        publish_snapshots(scenario.transactional_outbox(), SNAPSHOT)

    assert "commit_transaction" not in scenario.calls


def test_a_chunk_that_is_not_delivered_is_never_committed() -> None:
    scenario = ClientScenario()
    scenario.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(Unrecoverable, match="_PURGE_QUEUE"):
        publish_snapshots(scenario.transactional_outbox(), SNAPSHOT)

    assert "commit_transaction" not in scenario.calls


@pytest.mark.parametrize(
    ("kind", "code", "error_class"),
    [
        ("transactional", KafkaError._FENCED, Fenced),
        ("flushing", KafkaError._FATAL, Unrecoverable),
    ],
)
def test_a_fatal_error_of_a_flush_is_raised(
    kind: str, code: int, error_class: type[Exception]
) -> None:
    error = KafkaException(KafkaError(code, "made by a test", True))

    with pytest.raises(error_class):
        publish_snapshots(
            outbox_of(ClientScenario(**errors_of_call("flush", error)), kind), SNAPSHOT
        )


def test_a_chunk_without_an_answer_until_the_deadline_renews_the_producer() -> None:
    scenario = ClientScenario()
    scenario.undelivered_count = 1

    with pytest.raises(OutcomeUnknown, match="produce"):
        publish_snapshots(scenario.transactional_outbox(), SNAPSHOT)

    assert len(scenario.producers) == 2
    assert "commit_transaction" not in scenario.calls


@EACH_OUTBOX
def test_without_delivery_of_a_chunk_there_is_no_commit(kind: str) -> None:
    scenario = ClientScenario()
    scenario.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="MSG_SIZE_TOO_LARGE"):
        publish_snapshots(outbox_of(scenario, kind), SNAPSHOT)

    assert scenario.commits == []


@EACH_OUTBOX
def test_two_snapshots_of_one_partition_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="two snapshots have the same partition"):
        publish_snapshots(outbox_of(ClientScenario(), kind), SNAPSHOT, a_snapshot(next_offset=9))


@pytest.mark.parametrize("offsets", [[], [5], [5, 6]])
def test_offsets_have_the_order_of_the_callbacks(offsets: Sequence[int]) -> None:
    deliveries = DeliveryTracker()
    callbacks = [deliveries.next_callback() for _ in offsets]

    assert deliveries.is_finished is (not offsets)
    for offset, callback in reversed([*zip(offsets, callbacks, strict=True)]):
        callback(None, DeliveredMessage(offset))  # type: ignore[arg-type]  # only the offset is used

    assert deliveries.is_finished
    assert deliveries.offsets == offsets


class DeliveredMessage:
    """A delivered message."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset
