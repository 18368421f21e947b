"""Snapshots are published with the results: chunks, then manifests, then the commit plan."""

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
from tests.kafka.snapshot_builders import SOURCE, a_snapshot, read
from tests.publishing.outboxes import (
    COMMITS,
    MESSAGES,
    STATE,
    SUCCESSFUL_CALLS,
    ClientScenario,
    failing_call,
    failure,
    publish,
)

OTHER = Partition("in", 3)
ONE, TWO = a_snapshot(b"0123456789"), a_snapshot(b"abcde", source=OTHER)
"""With chunks of four bytes: three chunks and two chunks."""
Outbox = TransactionalOutbox | FlushingOutbox


def outbox_of(scenario: ClientScenario, kind: str) -> Outbox:
    return scenario.flushing() if kind == "flushing" else scenario.transactional()


def publish_with(outbox: Outbox, *snapshots: Snapshot) -> Mapping[Partition, int]:
    offsets: dict[Partition, int] = {}

    def plan_commit(manifests: Mapping[Partition, int]) -> CommitPlan:
        offsets.update(manifests)
        return CommitPlan([OutgoingMessage("ledger", None, b"account", [], 1)], COMMITS)

    outbox.publish(iter(MESSAGES), plan_commit, b"membership", snapshots=snapshots)
    return offsets


KINDS = pytest.mark.parametrize("kind", ["transactional", "flushing"])


@KINDS
def test_the_commit_plan_gets_the_offset_of_each_manifest(kind: str) -> None:
    scenario = ClientScenario()

    offsets = publish_with(outbox_of(scenario, kind), ONE, TWO)

    (producer,) = scenario.producers
    topics = [topic for topic, *_ in producer.produced]
    assert topics == ["out"] * 3 + [STATE] * 7 + ["ledger"]
    assert producer.partitions == [-1] * 3 + [2, 2, 2, 3, 3] + [2, 3] + [1]
    assert offsets == {SOURCE: 108, OTHER: 109}
    stored = {100 + n: value for n, (_, _, value, _) in enumerate(producer.produced)}
    for snapshot in (ONE, TWO):
        assert (
            read(parse_snapshot_manifest(stored[offsets[snapshot.source]], "here"), stored)
            == snapshot
        )


@KINDS
def test_chunks_and_manifests_are_delivered_before_their_offsets_are_used(kind: str) -> None:
    scenario = ClientScenario()

    publish_with(outbox_of(scenario, kind), ONE)

    # Three results and three chunks; the manifest; the ledger record; the commit.
    waits = [*["produce"] * 6, "flush", "produce", "flush", "produce"]
    begin, end = {
        "transactional": (["init_transactions", SUCCESSFUL_CALLS[0]], SUCCESSFUL_CALLS[-2:]),
        "flushing": ([], ["flush", "commit"]),
    }[kind]
    assert scenario.calls == [*begin, *waits, *end]


def test_without_snapshots_there_is_no_delivery_report_and_no_flush() -> None:
    scenario = ClientScenario()

    publish(scenario.transactional())

    (producer,) = scenario.producers
    assert producer.deliveries == []
    assert "flush" not in scenario.calls


@KINDS
def test_an_unknown_offset_of_a_chunk_aborts_the_micro_batch(kind: str) -> None:
    """The broker stored the chunk, but answered only the second try."""
    scenario = ClientScenario()
    scenario.offset_of = lambda number: -1001 if number == 4 else 100 + number
    outbox = outbox_of(scenario, kind)

    with pytest.raises(MicroBatchAborted):
        publish_with(outbox, ONE)

    assert not {"commit", "commit_transaction", "send_offsets_to_transaction"} & {*scenario.calls}
    scenario.offset_of = lambda number: 100 + number
    publish_with(outbox, ONE)
    assert len(scenario.producers) == 1


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
        (KafkaError._FENCED, Fenced),
        (KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
    ],
)
def test_a_chunk_that_is_not_delivered_has_the_reaction_of_its_cause(
    code: int, raised: type[Exception]
) -> None:
    """The delivery report may only say that it was dropped; the next call has the cause."""
    scenario = ClientScenario(send_offsets_to_transaction=[failure(code)])
    scenario.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(raised):
        publish_with(scenario.transactional(), ONE)

    assert "commit_transaction" not in scenario.calls


def test_a_chunk_that_is_not_delivered_is_never_committed() -> None:
    scenario = ClientScenario()
    scenario.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(Unrecoverable, match="_PURGE_QUEUE"):
        publish_with(scenario.transactional(), ONE)

    assert "commit_transaction" not in scenario.calls


@pytest.mark.parametrize(
    ("kind", "fatal", "raised"),
    [
        ("transactional", KafkaError._FENCED, Fenced),
        ("flushing", KafkaError._FATAL, Unrecoverable),
    ],
)
def test_a_fatal_error_of_a_flush_has_its_reaction(
    kind: str, fatal: int, raised: type[Exception]
) -> None:
    error = KafkaException(KafkaError(fatal, "made by a test", True))

    with pytest.raises(raised):
        publish_with(outbox_of(ClientScenario(**failing_call("flush", error)), kind), ONE)


def test_a_chunk_without_an_answer_until_the_deadline_renews_the_producer() -> None:
    scenario = ClientScenario()
    scenario.undelivered = 1

    with pytest.raises(OutcomeUnknown, match="produce"):
        publish_with(scenario.transactional(), ONE)

    assert len(scenario.producers) == 2
    assert "commit_transaction" not in scenario.calls


@KINDS
def test_without_delivery_of_a_chunk_there_is_no_commit(kind: str) -> None:
    scenario = ClientScenario()
    scenario.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="MSG_SIZE_TOO_LARGE"):
        publish_with(outbox_of(scenario, kind), ONE)

    assert scenario.commits == []


@KINDS
def test_two_snapshots_of_one_partition_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="two snapshots have the same partition"):
        publish_with(outbox_of(ClientScenario(), kind), ONE, a_snapshot(next_offset=9))


@pytest.mark.parametrize("offsets", [[], [5], [5, 6]])
def test_offsets_have_the_order_of_the_callbacks(offsets: Sequence[int]) -> None:
    deliveries = DeliveryTracker()
    reports = [deliveries.next_callback() for _ in offsets]

    assert deliveries.finished is (not offsets)
    for offset, report in reversed([*zip(offsets, reports, strict=True)]):
        report(None, Stored(offset))  # type: ignore[arg-type]  # only the offset is used

    assert deliveries.finished
    assert deliveries.offsets == offsets


class Stored:
    """A delivered message."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset
