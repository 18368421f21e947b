"""Snapshots go out with the results: chunks, manifests, and only then what names them."""

from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.errors import Fenced, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot, manifest_of
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import Conclusion
from sensorwatch.consumer.publishing.snapshot_writing import Deliveries
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.kafka.snapshot_builders import SOURCE, a_snapshot, read
from tests.publishing.outboxes import (
    ALL,
    COMMITS,
    MESSAGES,
    STATE,
    World,
    failure,
    publish,
    scripted,
)

OTHER = Partition("in", 3)
ONE, TWO = a_snapshot(b"0123456789"), a_snapshot(b"abcde", source=OTHER)
"""With chunks of four bytes: three of the one, two of the other."""
Outbox = TransactionalOutbox | FlushingOutbox


def outbox_of(world: World, kind: str) -> Outbox:
    return world.flushing() if kind == "flushing" else world.transactional()


def publish_with(outbox: Outbox, *snapshots: Snapshot) -> Mapping[Partition, int]:
    told: dict[Partition, int] = {}

    def conclude(manifests: Mapping[Partition, int]) -> Conclusion:
        told.update(manifests)
        return Conclusion([OutgoingMessage("ledger", None, b"account", [], 1)], COMMITS)

    outbox.publish(iter(MESSAGES), conclude, b"membership", snapshots=snapshots)
    return told


KINDS = pytest.mark.parametrize("kind", ["transactional", "flushing"])


@KINDS
def test_the_ledger_is_told_where_each_manifest_stands(kind: str) -> None:
    world = World()

    told = publish_with(outbox_of(world, kind), ONE, TWO)

    (producer,) = world.producers
    topics = [topic for topic, *_ in producer.produced]
    assert topics == ["out"] * 3 + [STATE] * 7 + ["ledger"]
    assert producer.partitions == [-1] * 3 + [2, 2, 2, 3, 3] + [2, 3] + [1]
    assert told == {SOURCE: 108, OTHER: 109}
    stored = {100 + n: value for n, (_, _, value, _) in enumerate(producer.produced)}
    for snapshot in (ONE, TWO):
        assert read(manifest_of(stored[told[snapshot.source]], "here"), stored) == snapshot


@KINDS
def test_everything_is_delivered_before_it_is_named(kind: str) -> None:
    world = World()

    publish_with(outbox_of(world, kind), ONE)

    # Three results and three chunks; the manifest; the ledger's record; the commit.
    waits = [*["produce"] * 6, "flush", "produce", "flush", "produce"]
    begin, end = {
        "transactional": (["init_transactions", ALL[0]], ALL[-2:]),
        "flushing": ([], ["flush", "commit"]),
    }[kind]
    assert world.calls == [*begin, *waits, *end]


def test_without_snapshots_nobody_waits_for_or_is_told_of_a_delivery() -> None:
    world = World()

    publish(world.transactional())

    (producer,) = world.producers
    assert producer.deliveries == []
    assert "flush" not in world.calls


@KINDS
def test_an_offset_that_is_not_known_aborts_the_micro_batch(kind: str) -> None:
    """The broker has the chunk, but told so only in answer to the second try."""
    world = World()
    world.offset_of = lambda number: -1001 if number == 4 else 100 + number
    outbox = outbox_of(world, kind)

    with pytest.raises(MicroBatchAborted):
        publish_with(outbox, ONE)

    assert not {"commit", "commit_transaction", "send_offsets_to_transaction"} & {*world.calls}
    world.offset_of = lambda number: 100 + number
    publish_with(outbox, ONE)
    assert len(world.producers) == 1


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError.UNKNOWN_PRODUCER_ID, MicroBatchAborted),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, OutcomeUnknown),
        (KafkaError._FENCED, Fenced),
        (KafkaError.MSG_SIZE_TOO_LARGE, Unrecoverable),
    ],
)
def test_a_chunk_that_is_not_delivered_has_the_reaction_to_the_cause(
    code: int, raised: type[Exception]
) -> None:
    """The report of it may only say that it was dropped; the next call says why."""
    world = World(send_offsets_to_transaction=[failure(code)])
    world.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(raised):
        publish_with(world.transactional(), ONE)

    assert "commit_transaction" not in world.calls


def test_a_chunk_that_is_not_delivered_is_never_committed_without_a_cause() -> None:
    world = World()
    world.delivery_error = KafkaError(KafkaError._PURGE_QUEUE)

    with pytest.raises(Unrecoverable, match="_PURGE_QUEUE"):
        publish_with(world.transactional(), ONE)

    assert "commit_transaction" not in world.calls


@pytest.mark.parametrize(
    ("kind", "fatal", "raised"),
    [
        ("transactional", KafkaError._FENCED, Fenced),
        ("flushing", KafkaError._FATAL, Unrecoverable),
    ],
)
def test_a_fatal_error_while_waiting_is_one_of_ours(
    kind: str, fatal: int, raised: type[Exception]
) -> None:
    error = KafkaException(KafkaError(fatal, "told by a test", True))

    with pytest.raises(raised):
        publish_with(outbox_of(World(**scripted("flush", error)), kind), ONE)


def test_a_chunk_without_an_answer_past_the_deadline_renews_the_producer() -> None:
    world = World()
    world.left = 1

    with pytest.raises(OutcomeUnknown, match="produce"):
        publish_with(world.transactional(), ONE)

    assert len(world.producers) == 2
    assert "commit_transaction" not in world.calls


@KINDS
def test_without_delivery_of_a_chunk_there_is_no_plain_commit(kind: str) -> None:
    world = World()
    world.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="MSG_SIZE_TOO_LARGE"):
        publish_with(outbox_of(world, kind), ONE)

    assert world.commits == []


@KINDS
def test_two_snapshots_of_one_partition_are_a_mistake(kind: str) -> None:
    with pytest.raises(ValueError, match="two snapshots of one partition"):
        publish_with(outbox_of(World(), kind), ONE, a_snapshot(next_offset=9))


@pytest.mark.parametrize("offsets", [[], [5], [5, 6]])
def test_deliveries_keep_the_order_in_which_they_were_expected(offsets: Sequence[int]) -> None:
    deliveries = Deliveries()
    reports = [deliveries.expect() for _ in offsets]

    assert deliveries.settled is (not offsets)
    for offset, report in reversed([*zip(offsets, reports, strict=True)]):
        report(None, Stored(offset))  # type: ignore[arg-type]  # of a message only its offset

    assert deliveries.settled
    assert deliveries.offsets == offsets


class Stored:
    """A delivered message."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset
