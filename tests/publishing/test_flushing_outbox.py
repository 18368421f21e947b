"""The flushing outbox commits only after delivery; it raises errors of this project."""

from dataclasses import dataclass
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sensorwatch.common.errors import (
    MicroBatchAborted,
    Unrecoverable,
)
from tests.publishing.outboxes import ClientScenario, errors_of_call, kafka_exception, publish


def test_offsets_are_committed_after_the_delivery_of_all_messages() -> None:
    scenario = ClientScenario()

    publish(scenario.flushing_outbox())

    assert scenario.calls == [*["produce"] * 3, "flush", "commit"]
    ((offset,),) = scenario.commits
    assert (offset.offset, offset.metadata) == (7, "account")


@pytest.mark.parametrize("undelivered_count", [0, 2])
def test_without_delivery_offsets_are_not_committed(undelivered_count: int) -> None:
    scenario = ClientScenario()
    scenario.undelivered_count = undelivered_count
    scenario.delivery_error = (
        None if undelivered_count else KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    )

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(scenario.flushing_outbox())

    assert "commit" not in scenario.calls


def test_a_fatal_error_of_the_client_is_unrecoverable() -> None:
    fatal_error = KafkaException(KafkaError(KafkaError._FATAL, "made by a test", True))
    for call in ("produce", "flush"):
        with pytest.raises(Unrecoverable):
            publish(ClientScenario(**errors_of_call(call, fatal_error)).flushing_outbox())


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.ILLEGAL_GENERATION, MicroBatchAborted),
        (KafkaError.REBALANCE_IN_PROGRESS, MicroBatchAborted),
        (KafkaError._FAIL, Unrecoverable),
    ],
)
def test_each_commit_error_is_raised_as_a_project_error(
    code: int, error_class: type[Exception]
) -> None:
    with pytest.raises(error_class):
        publish(ClientScenario().flushing_outbox(kafka_exception(code)))


@dataclass(frozen=True)
class PartitionResult:
    """What the client returns for one partition of a commit."""

    error: KafkaError | None


@pytest.mark.parametrize(
    ("code", "error_class"),
    [(KafkaError.ILLEGAL_GENERATION, MicroBatchAborted), (KafkaError._FAIL, Unrecoverable)],
)
def test_an_error_of_one_partition_is_an_error_of_the_commit(
    code: int, error_class: type[Exception]
) -> None:
    """The client returns an error that concerns one partition instead of raising the error."""
    commit_result = [PartitionResult(None), PartitionResult(KafkaError(code))]

    with pytest.raises(error_class):
        publish(
            ClientScenario().flushing_outbox(
                commit_result=cast("list[TopicPartition]", commit_result)
            )
        )


def test_a_flush_is_called_with_a_short_timeout_until_the_deadline() -> None:
    scenario = ClientScenario()
    scenario.undelivered_count = 1
    outbox = scenario.flushing_outbox()
    start = scenario.now

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(outbox)

    assert 10 <= scenario.now - start <= 13
    assert scenario.producers[0].longest_flush_timeout <= 1


def test_a_delivery_error_does_not_affect_the_next_micro_batch() -> None:
    scenario = ClientScenario()
    outbox = scenario.flushing_outbox()
    scenario.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    with pytest.raises(Unrecoverable):
        publish(outbox)
    scenario.delivery_error = None

    publish(outbox)

    assert len(scenario.commits) == 1


def test_a_commit_is_repeated_while_the_coordinator_moves() -> None:
    coordinator_errors = [
        KafkaError.NOT_COORDINATOR,
        KafkaError._DESTROY_BROKER,
        KafkaError._TIMED_OUT,
    ]
    scenario = ClientScenario(commit=[kafka_exception(code) for code in coordinator_errors])

    publish(scenario.flushing_outbox())

    assert scenario.calls.count("commit") == 4
    assert len(scenario.commits) == 1


def test_a_commit_is_repeated_until_the_deadline() -> None:
    coordinator_errors = kafka_exception(KafkaError.NOT_COORDINATOR)
    scenario = ClientScenario(commit=[coordinator_errors] * 1_000)
    outbox = scenario.flushing_outbox()
    start = scenario.now

    with pytest.raises(Unrecoverable, match="commit"):
        publish(outbox)

    assert 9 <= scenario.now - start <= 13
