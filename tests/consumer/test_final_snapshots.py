"""An orderly stop writes the memories that changed, so that the next start replays no record."""

from collections.abc import Sequence

import pytest

from sensorwatch.common.errors import Fenced, MicroBatchAborted, OutcomeUnknown, SensorwatchError
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, FakeConsumer
from tests.consumer.rig import PARTITION_0, THREE_PAYLOADS, LoopRig, batch_steps, stored_records
from tests.consumer.test_snapshots import ledger_records, ledger_summaries, require_snapshots
from tests.kafka.record_builders import StoredRecord

PARTITION_1 = Partition(TOPIC, 1)


def assign_other_partition(consumer: FakeConsumer) -> list[StoredRecord]:
    consumer.assign_partitions(1)
    return []


def records_of_partition_1(_consumer: FakeConsumer) -> list[StoredRecord]:
    return [StoredRecord(value, number, 1) for number, value in enumerate(THREE_PAYLOADS)]


TWO_BATCHES = [*batch_steps(*THREE_PAYLOADS), *batch_steps(*THREE_PAYLOADS, first_offset=3)]
"""The first commit of a partition has a snapshot, so the snapshot lacks only the second batch."""


def a_rig(*failures: SensorwatchError | None) -> LoopRig:
    """Return a rig that has consumed two batches; later transactions have these failures."""
    rig = LoopRig(*TWO_BATCHES, failures=[None, None, *failures]).with_opened_account()
    rig.input_records = stored_records(*THREE_PAYLOADS, *THREE_PAYLOADS)
    rig.run()
    return rig


def next_rig(rig: LoopRig) -> LoopRig:
    """Start the next worker of the group, which restores the memory of partition 0."""
    consumer = FakeConsumer([], [])
    consumer.offsets = rig.consumer.offsets
    next_worker = LoopRig(consumer=consumer, state_topic=rig.state_topic)
    next_worker.input_records = rig.input_records
    consumer.assign_partitions(0)
    next_worker.run()
    return next_worker


def replayed_ranges(rig: LoopRig) -> list[tuple[int, int]]:
    """Return the offsets of the replayed records, if there were any."""
    return [(begin, end) for _, begin, end in rig.replays if begin < end]


def test_without_a_final_snapshot_the_next_worker_replays_records() -> None:
    assert replayed_ranges(next_rig(a_rig())) == [(3, 6)]


def test_after_a_stop_the_next_worker_replays_nothing() -> None:
    rig = a_rig()
    account = rig.accounts.by_partition[PARTITION_0]

    rig.stop()

    ((messages, commits),) = rig.outbox.published_batches[2:]
    assert [record.cause for record in ledger_records(messages)] == [Cause.INTERVAL]
    assert [message.topic for message in messages] == ["g.ledger"], "no result is published again"
    assert [(commit.partition, commit.next_offset) for commit in commits] == [(PARTITION_0, 6)]
    require_snapshots(rig)
    next_worker = next_rig(rig)
    assert replayed_ranges(next_worker) == []
    next_account = next_worker.accounts.by_partition[PARTITION_0]
    assert (next_account.digest, next_account.consumed) == (account.digest, account.consumed)
    assert memory_to_bytes(next_worker.memories[PARTITION_0]) == memory_to_bytes(
        rig.memories[PARTITION_0]
    )
    assert rig.metric("snapshots_total") == 2


def test_a_memory_without_records_since_its_snapshot_is_not_written_again() -> None:
    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS), assign_other_partition, *[[]] * 5
    ).with_opened_account()
    rig.run()
    transactions = len(rig.outbox.published_batches)

    rig.stop()

    assert len(rig.outbox.published_batches) == transactions


def test_each_changed_partition_has_a_transaction_of_its_own() -> None:
    def more_records_of_partition_1(_consumer: FakeConsumer) -> list[StoredRecord]:
        return [StoredRecord(THREE_PAYLOADS[0], 3, 1)]

    rig = LoopRig(
        *TWO_BATCHES,
        assign_other_partition,
        *[[]] * 3,
        lambda _consumer: records_of_partition_1(_consumer)[:1],
        lambda _consumer: records_of_partition_1(_consumer)[1:],
        [],
        more_records_of_partition_1,
        [],
    ).with_opened_account()
    rig.run()
    ledger_before = len(ledger_summaries(rig))

    rig.stop()

    written_offsets = [(partition, offset) for partition, _, offset, _ in ledger_summaries(rig)]
    assert written_offsets[ledger_before:] == [(0, 6), (1, 4)]
    last_batches = rig.outbox.published_batches[-2:]
    assert [len(commits) for _, commits in last_batches] == [1, 1]


@pytest.mark.parametrize(
    "failure",
    [MicroBatchAborted("rebalance"), OutcomeUnknown("timeout"), Fenced("another worker")],
    ids=repr,
)
def test_a_failed_final_snapshot_loses_nothing_and_raises_no_error(
    failure: SensorwatchError, caplog: pytest.LogCaptureFixture
) -> None:
    rig = a_rig(failure)
    committed_offset = rig.consumer.offsets[0]

    rig.stop()

    assert rig.consumer.offsets[0] == committed_offset
    next_worker = next_rig(rig)
    assert replayed_ranges(next_worker) == [(3, 6)]
    assert memory_to_bytes(next_worker.memories[PARTITION_0]) == memory_to_bytes(
        rig.memories[PARTITION_0]
    )


def test_a_final_snapshot_that_was_committed_without_an_answer_is_used() -> None:
    rig = a_rig(OutcomeUnknown("committed"))
    rig.outbox._fail_after_commit = True

    rig.stop()

    assert replayed_ranges(next_rig(rig)) == []


def test_no_transaction_begins_after_the_time_is_over() -> None:
    rig = a_rig()
    transactions = len(rig.outbox.attempts)

    rig.stop(seconds=0.0)

    assert len(rig.outbox.attempts) == transactions


def test_a_worker_that_is_no_longer_a_member_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = a_rig()
    transactions = len(rig.outbox.attempts)
    without_membership = b"CGMDv2:\xff\xff\xff\xffgroup\0\0\0"
    monkeypatch.setattr(
        fakes.FakeConsumer, "consumer_group_metadata", lambda _self: without_membership
    )

    rig.stop()

    assert len(rig.outbox.attempts) == transactions


def test_a_partition_whose_memory_is_not_restored_yet_is_left_out() -> None:
    rig = a_rig()
    rig.memories.set_aside([PARTITION_0])

    rig.stop()

    assert len(rig.outbox.published_batches) == 2


def test_a_memory_that_other_code_scored_is_not_written_for_the_old_segment() -> None:
    """The replay of this code may differ in the last bits, so a later proof would fail."""
    rig = a_rig()
    consumer = FakeConsumer([])
    consumer.offsets = rig.consumer.offsets
    next_worker = LoopRig(
        consumer=consumer,
        state_topic=rig.state_topic,
        fingerprint="other code",
        failures=[MicroBatchAborted("injected")],
    )
    next_worker.input_records = rig.input_records
    consumer.assign_partitions(0)
    next_worker.run()
    assert len(next_worker.outbox.attempts) == 1, "the change of the segment was aborted"
    assert PARTITION_0 in next_worker.memories

    next_worker.stop()

    assert next_worker.outbox.published_batches == []


def test_a_stop_after_an_aborted_micro_batch_writes_the_memory_of_the_last_commit() -> None:
    steps: Sequence[fakes.ConsumeStep] = [
        *TWO_BATCHES,
        *batch_steps(*THREE_PAYLOADS, first_offset=6),
    ]
    rig = LoopRig(
        *steps, failures=[None, None, MicroBatchAborted("injected")]
    ).with_opened_account()
    rig.input_records = stored_records(*THREE_PAYLOADS, *THREE_PAYLOADS)
    rig.run()

    rig.stop()

    assert rig.consumer.offsets[0].offset == 6
    next_worker = next_rig(rig)
    assert replayed_ranges(next_worker) == []
    assert memory_to_bytes(next_worker.memories[PARTITION_0]) == memory_to_bytes(
        rig.memories[PARTITION_0]
    )
