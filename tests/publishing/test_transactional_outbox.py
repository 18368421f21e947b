"""The transactional outbox publishes all messages or none; it raises errors of this project."""

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from sensorwatch.common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    Unrecoverable,
)
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.consumer.publishing.transactional_outbox import CALL_TIMEOUT_SECONDS
from tests.publishing.outboxes import (
    MESSAGES,
    SUCCESSFUL_CALLS,
    TIMED_OUT_ERROR,
    ClientScenario,
    errors_of_call,
    fixed_commit_plan,
    kafka_exception,
    publish,
)


def test_messages_and_offsets_are_in_one_transaction() -> None:
    scenario = ClientScenario()

    publish(scenario.transactional_outbox())

    assert scenario.calls == ["init_transactions", *SUCCESSFUL_CALLS]
    (producer,) = scenario.producers
    assert producer.produced_messages == [("out", b"k", b"%d" % n, [("h", b"x")]) for n in range(3)]
    (offset,) = producer.offsets
    assert (offset.topic, offset.partition) == ("in", 2)
    assert (offset.offset, offset.metadata) == (7, "account")


@pytest.mark.parametrize("call", ["init_transactions", *dict.fromkeys(SUCCESSFUL_CALLS)])
def test_each_call_is_repeated_after_a_retriable_error(call: str) -> None:
    scenario = ClientScenario(**errors_of_call(call, TIMED_OUT_ERROR, TIMED_OUT_ERROR))

    publish(scenario.transactional_outbox())

    assert scenario.calls.count(call) == (5 if call == "produce" else 3)
    assert len(scenario.producers) == 1


def test_a_commit_without_an_answer_has_an_unknown_outcome() -> None:
    """The outbox repeats the commit until the deadline and then creates a new producer."""
    scenario = ClientScenario(repeat_last_error=True, commit_transaction=[TIMED_OUT_ERROR])
    outbox = scenario.transactional_outbox()
    start = scenario.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 10 <= scenario.now - start <= 13
    assert "abort_transaction" not in scenario.calls, (
        "a transaction with a pending commit is not aborted"
    )
    assert scenario.calls[-2:] == ["purge", "init_transactions"]
    assert len(scenario.producers) == 2


def test_a_call_that_ignores_its_timeout_is_abandoned_and_the_producer_renewed() -> None:
    """The client may wait forever for a group coordinator that was killed."""
    scenario = ClientScenario(
        hanging_calls={"send_offsets_to_transaction"}, transaction_seconds=0.1
    )
    outbox = scenario.transactional_outbox(grace_seconds=0.05)

    with pytest.raises(OutcomeUnknown, match="send offsets: _TIMED_OUT"):
        publish(outbox)

    assert scenario.calls[-2:] == ["purge", "init_transactions"]
    assert len(scenario.producers) == 2
    scenario.hanging_calls.clear()


def test_offsets_are_sent_in_one_call_with_all_of_the_remaining_time() -> None:
    """A timeout of send_offsets_to_transaction() would abort the transaction."""
    scenario = ClientScenario()

    publish(scenario.transactional_outbox())

    (producer,) = scenario.producers
    assert producer.longest_send_offsets_timeout > CALL_TIMEOUT_SECONDS


def test_a_transaction_ends_before_the_timeout_of_the_broker() -> None:
    """A producer that exceeds the transaction timeout is fenced by the broker."""
    scenario = ClientScenario(
        repeat_last_error=True, transaction_seconds=4.0, commit_transaction=[TIMED_OUT_ERROR]
    )
    outbox = scenario.transactional_outbox()
    start = scenario.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 4 <= scenario.now - start <= 6


def test_each_missed_deadline_in_a_row_renews_the_producer() -> None:
    """The consumer loop limits the number of failures in a row; the outbox does not."""
    scenario = ClientScenario(repeat_last_error=True, commit_transaction=[TIMED_OUT_ERROR])
    outbox = scenario.transactional_outbox()

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            publish(outbox)

    assert len(scenario.producers) == 4


def test_a_second_broken_producer_in_a_row_ends_the_process() -> None:
    producer_error = kafka_exception(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    scenario = ClientScenario(commit_transaction=[producer_error, producer_error])
    outbox = scenario.transactional_outbox()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    with pytest.raises(Unrecoverable, match="twice in a row"):
        publish(outbox)

    assert len(scenario.producers) == 2


def test_a_broken_producer_after_a_success_is_renewed_again() -> None:
    producer_error = kafka_exception(KafkaError.INVALID_TXN_STATE)
    scenario = ClientScenario(commit_transaction=[producer_error, None, producer_error])
    outbox = scenario.transactional_outbox()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    publish(outbox)
    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert len(scenario.producers) == 3


def test_a_lost_membership_aborts_the_transaction_and_keeps_the_producer() -> None:
    scenario = ClientScenario(
        send_offsets_to_transaction=[kafka_exception(KafkaError.ILLEGAL_GENERATION)]
    )
    outbox = scenario.transactional_outbox()

    with pytest.raises(MicroBatchAborted, match="ILLEGAL_GENERATION"):
        publish(outbox)

    assert scenario.calls[-1] == "abort_transaction"
    assert "commit_transaction" not in scenario.calls
    publish(outbox)
    assert len(scenario.producers) == 1


def test_an_abort_that_fails_renews_the_producer() -> None:
    scenario = ClientScenario(
        send_offsets_to_transaction=[kafka_exception(KafkaError.ILLEGAL_GENERATION)],
        abort_transaction=[kafka_exception(KafkaError.INVALID_TXN_STATE)],
    )

    with pytest.raises(MicroBatchAborted):
        publish(scenario.transactional_outbox())

    assert len(scenario.producers) == 2


@pytest.mark.parametrize(
    "call", ["begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"]
)
def test_a_fenced_producer_makes_no_further_call(call: str) -> None:
    scenario = ClientScenario(**errors_of_call(call, kafka_exception(KafkaError._FENCED)))
    outbox = scenario.transactional_outbox()

    with pytest.raises(Fenced, match=r"\[consumer\] instance"):
        publish(outbox)
    outbox.close()

    assert scenario.calls[-1] == call
    assert len(scenario.producers) == 1


def test_an_unknown_error_ends_the_process_and_closing_aborts_once() -> None:
    scenario = ClientScenario(send_offsets_to_transaction=[kafka_exception(KafkaError._FAIL)])
    outbox = scenario.transactional_outbox()

    with pytest.raises(Unrecoverable, match="send offsets"):
        publish(outbox)
    outbox.close()
    outbox.close()

    assert scenario.calls.count("abort_transaction") == 1


def test_the_outbox_waits_while_the_queue_is_full() -> None:
    scenario = ClientScenario(produce=[BufferError(), BufferError()])

    publish(scenario.transactional_outbox())

    assert len(scenario.producers[0].produced_messages) == 3


def test_a_queue_that_stays_full_renews_the_producer() -> None:
    scenario = ClientScenario(repeat_last_error=True, produce=[BufferError()])

    with pytest.raises(OutcomeUnknown, match="_QUEUE_FULL"):
        publish(scenario.transactional_outbox())


def test_a_failed_transaction_is_never_committed_without_its_later_messages() -> None:
    """The client may refuse produce() without giving the cause."""
    scenario = ClientScenario(produce=[None, kafka_exception(KafkaError._STATE)])

    with pytest.raises(Unrecoverable, match="_STATE"):
        publish(scenario.transactional_outbox())

    assert "commit_transaction" not in scenario.calls


def test_closing_aborts_the_transaction_after_an_error_in_the_messages() -> None:
    def failing_messages() -> Iterator[OutgoingMessage]:
        yield MESSAGES[0]
        raise ZeroDivisionError

    scenario = ClientScenario()
    outbox = scenario.transactional_outbox()

    with pytest.raises(ZeroDivisionError):
        outbox.publish(failing_messages(), fixed_commit_plan, b"membership")
    outbox.close()

    assert scenario.calls[-1] == "abort_transaction"


def test_the_error_of_a_broker_without_transactions_has_the_remedy() -> None:
    scenario = ClientScenario(repeat_last_error=True, init_transactions=[TIMED_OUT_ERROR])

    with pytest.raises(BrokerUnavailable, match="at_least_once"):
        scenario.transactional_outbox()
