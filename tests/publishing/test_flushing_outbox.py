"""The flushing outbox commits after delivery, and each error has its reaction."""

from dataclasses import dataclass
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sensorwatch.common.errors import (
    MicroBatchAborted,
    Unrecoverable,
)
from tests.publishing.outboxes import ClientScenario, failing_call, failure, publish


def test_offsets_are_committed_after_the_delivery_of_all_messages() -> None:
    scenario = ClientScenario()

    publish(scenario.flushing())

    assert scenario.calls == [*["produce"] * 3, "flush", "commit"]
    ((offset,),) = scenario.commits
    assert (offset.offset, offset.metadata) == (7, "account")


@pytest.mark.parametrize("undelivered", [0, 2])
def test_without_delivery_offsets_are_not_committed(undelivered: int) -> None:
    scenario = ClientScenario()
    scenario.undelivered = undelivered
    scenario.delivery_error = None if undelivered else KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(scenario.flushing())

    assert "commit" not in scenario.calls


def test_a_fatal_error_of_the_client_is_unrecoverable() -> None:
    fatal = KafkaException(KafkaError(KafkaError._FATAL, "made by a test", True))
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
def test_each_error_of_a_commit_has_its_reaction(code: int, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        publish(ClientScenario().flushing(failure(code)))


@dataclass(frozen=True)
class CommitAnswer:
    """One partition in the answer of a commit."""

    error: KafkaError | None


@pytest.mark.parametrize(
    ("code", "raised"),
    [(KafkaError.ILLEGAL_GENERATION, MicroBatchAborted), (KafkaError._FAIL, Unrecoverable)],
)
def test_an_error_of_one_partition_is_an_error_of_the_commit(
    code: int, raised: type[Exception]
) -> None:
    """The client returns this error in its answer and does not raise it."""
    answer = [CommitAnswer(None), CommitAnswer(KafkaError(code))]

    with pytest.raises(raised):
        publish(ClientScenario().flushing(answer=cast("list[TopicPartition]", answer)))


def test_a_flush_is_called_with_a_short_timeout_until_the_deadline() -> None:
    scenario = ClientScenario()
    scenario.undelivered = 1
    outbox = scenario.flushing()
    start = scenario.now

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(outbox)

    assert 10 <= scenario.now - start <= 13
    assert scenario.producers[0].longest_flush <= 1


def test_a_delivery_error_does_not_affect_the_next_micro_batch() -> None:
    scenario = ClientScenario()
    outbox = scenario.flushing()
    scenario.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    with pytest.raises(Unrecoverable):
        publish(outbox)
    scenario.delivery_error = None

    publish(outbox)

    assert len(scenario.commits) == 1


def test_a_commit_is_repeated_while_the_coordinator_moves() -> None:
    moving = [KafkaError.NOT_COORDINATOR, KafkaError._DESTROY_BROKER, KafkaError._TIMED_OUT]
    scenario = ClientScenario(commit=[failure(code) for code in moving])

    publish(scenario.flushing())

    assert scenario.calls.count("commit") == 4
    assert len(scenario.commits) == 1


def test_a_commit_is_repeated_until_the_deadline() -> None:
    moving = failure(KafkaError.NOT_COORDINATOR)
    scenario = ClientScenario(commit=[moving] * 1_000)
    outbox = scenario.flushing()
    start = scenario.now

    with pytest.raises(Unrecoverable, match="commit"):
        publish(outbox)

    assert 9 <= scenario.now - start <= 13
