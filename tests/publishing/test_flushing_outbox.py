"""Without transactions offsets follow delivery, and each failure has its action."""

from dataclasses import dataclass
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sensorwatch.common.errors import (
    MicroBatchAborted,
    Unrecoverable,
)
from tests.publishing.outboxes import ClientScenario, failing_call, failure, publish


def test_without_transactions_offsets_follow_the_delivery_of_all_messages() -> None:
    scenario = ClientScenario()

    publish(scenario.flushing())

    assert scenario.calls == [*["produce"] * 3, "flush", "commit"]
    ((where,),) = scenario.commits
    assert (where.offset, where.metadata) == (7, "account")


@pytest.mark.parametrize("undelivered", [0, 2])
def test_without_delivery_there_is_no_commit(undelivered: int) -> None:
    scenario = ClientScenario()
    scenario.undelivered = undelivered
    scenario.delivery_error = None if undelivered else KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(scenario.flushing())

    assert "commit" not in scenario.calls


def test_a_fatal_error_of_the_client_is_one_of_ours() -> None:
    fatal = KafkaException(KafkaError(KafkaError._FATAL, "told by a test", True))
    for call in ("produce", "flush"):
        with pytest.raises(Unrecoverable):
            publish(ClientScenario(**failing_call(call, fatal)).flushing())


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError.ILLEGAL_GENERATION, MicroBatchAborted),
        (KafkaError.REBALANCE_IN_PROGRESS, MicroBatchAborted),
        (KafkaError._FAIL, Unrecoverable),
    ],
)
def test_a_plain_commit_that_is_refused_has_its_action(code: int, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        publish(ClientScenario().flushing(failure(code)))


@dataclass(frozen=True)
class CommitAnswer:
    """A partition of a commit's answer, as the client gives it."""

    error: KafkaError | None


@pytest.mark.parametrize(
    ("code", "raised"),
    [(KafkaError.ILLEGAL_GENERATION, MicroBatchAborted), (KafkaError._FAIL, Unrecoverable)],
)
def test_a_plain_commit_that_one_partition_refuses_is_none(
    code: int, raised: type[Exception]
) -> None:
    """The client returns such an error beside the partition and raises nothing."""
    answer = [CommitAnswer(None), CommitAnswer(KafkaError(code))]

    with pytest.raises(raised):
        publish(ClientScenario().flushing(answer=cast("list[TopicPartition]", answer)))


def test_waiting_for_deliveries_leaves_room_for_signals_up_to_the_deadline() -> None:
    scenario = ClientScenario()
    scenario.undelivered = 1
    outbox = scenario.flushing()
    began = scenario.now

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(outbox)

    assert 10 <= scenario.now - began <= 13
    assert scenario.producers[0].longest_flush <= 1


def test_the_error_of_one_micro_batch_is_not_that_of_the_next() -> None:
    scenario = ClientScenario()
    outbox = scenario.flushing()
    scenario.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    with pytest.raises(Unrecoverable):
        publish(outbox)
    scenario.delivery_error = None

    publish(outbox)

    assert len(scenario.commits) == 1


def test_a_plain_commit_is_repeated_while_its_coordinator_moves() -> None:
    moving = [KafkaError.NOT_COORDINATOR, KafkaError._DESTROY_BROKER, KafkaError._TIMED_OUT]
    scenario = ClientScenario(commit=[failure(code) for code in moving])

    publish(scenario.flushing())

    assert scenario.calls.count("commit") == 4
    assert len(scenario.commits) == 1


def test_a_plain_commit_is_repeated_up_to_the_deadline() -> None:
    moving = failure(KafkaError.NOT_COORDINATOR)
    scenario = ClientScenario(commit=[moving] * 1_000)
    outbox = scenario.flushing()
    began = scenario.now

    with pytest.raises(Unrecoverable, match="commit"):
        publish(outbox)

    assert 9 <= scenario.now - began <= 13
