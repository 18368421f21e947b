"""The last transaction before an exit takes a short time, even if the broker does not answer."""

from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaError

from sensorwatch.common.errors import SnapshotNotWritten
from sensorwatch.common.kafka.records import Partition
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import CommitPlan
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.kafka.snapshot_builders import a_snapshot
from tests.publishing.outboxes import (
    COMMITS,
    TIMED_OUT_ERROR,
    ClientScenario,
    errors_of_call,
    kafka_exception,
)

SNAPSHOT = a_snapshot(b"content", source=Partition("in", 2))
SECONDS = 2.0
MAX_SECONDS = SECONDS + 1.5
"""Each call of the scenario's client takes half a second, even the call that ends too late."""


def publish_last(outbox: TransactionalOutbox | FlushingOutbox) -> None:
    def plan_commit(manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
        assert set(manifest_offsets) == {SNAPSHOT.source}
        return CommitPlan([], COMMITS)

    outbox.publish_last(plan_commit, b"membership", snapshots=[SNAPSHOT], seconds=SECONDS)


def test_the_snapshot_and_the_offsets_are_in_one_transaction() -> None:
    scenario = ClientScenario(transaction_seconds=60.0)
    outbox = scenario.transactional_outbox()

    outbox.publish_last(
        lambda _offsets: CommitPlan([], COMMITS),
        b"membership",
        snapshots=[SNAPSHOT],
        seconds=60.0,
    )

    order = list(dict.fromkeys(scenario.calls))
    assert order == [
        "init_transactions",
        "begin_transaction",
        "produce",
        "flush",
        "send_offsets_to_transaction",
        "commit_transaction",
    ]
    outbox.close()
    assert "abort_transaction" not in scenario.calls


@pytest.mark.parametrize(
    "call", ["begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"]
)
@pytest.mark.parametrize(
    "error",
    [
        TIMED_OUT_ERROR,
        kafka_exception(KafkaError._FENCED),
        kafka_exception(KafkaError.ILLEGAL_GENERATION, requires_abort=True),
        kafka_exception(KafkaError._FATAL),
    ],
    ids=["timeout", "fenced", "not a member", "fatal"],
)
def test_any_failure_ends_the_attempt_without_a_new_producer(call: str, error: Exception) -> None:
    scenario = ClientScenario(
        repeat_last_error=True, transaction_seconds=60.0, **errors_of_call(call, error)
    )
    outbox = scenario.transactional_outbox()
    start = scenario.now

    with pytest.raises(SnapshotNotWritten):
        publish_last(outbox)

    assert scenario.now - start <= MAX_SECONDS
    assert len(scenario.producers) == 1
    assert "purge" not in scenario.calls
    outbox.close()
    assert ("abort_transaction" in scenario.calls) == (call != "begin_transaction")


def test_an_undelivered_snapshot_is_given_up_in_time_and_aborted() -> None:
    scenario = ClientScenario(transaction_seconds=60.0)
    outbox = scenario.transactional_outbox()
    scenario.undelivered_count = 1
    start = scenario.now

    with pytest.raises(SnapshotNotWritten):
        publish_last(outbox)

    assert scenario.now - start <= MAX_SECONDS
    (producer,) = scenario.producers
    assert producer.longest_flush_timeout <= SECONDS
    assert "send_offsets_to_transaction" not in scenario.calls
    outbox.close()
    assert scenario.calls[-1] == "abort_transaction"


def test_without_transactions_the_offset_is_committed_only_after_the_snapshot() -> None:
    scenario = ClientScenario()

    publish_last(scenario.flushing_outbox())

    assert scenario.calls[-1] == "commit"
    ((offset,),) = scenario.commits
    assert (offset.offset, offset.metadata) == (7, "account")


def test_without_transactions_an_undelivered_snapshot_is_given_up_in_time() -> None:
    scenario = ClientScenario()
    scenario.undelivered_count = 1

    with pytest.raises(SnapshotNotWritten, match="not delivered within 2 s"):
        publish_last(scenario.flushing_outbox())

    assert scenario.now <= MAX_SECONDS
    assert scenario.commits == []


def test_without_transactions_a_refused_commit_raises_the_same_error() -> None:
    scenario = ClientScenario()

    with pytest.raises(SnapshotNotWritten):
        publish_last(scenario.flushing_outbox(kafka_exception(KafkaError.ILLEGAL_GENERATION)))
