"""The transactional outbox publishes all or none, and takes the action for each failure."""

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
    TIMED_OUT,
    ClientScenario,
    failing_call,
    failure,
    fixed_commit_plan,
    publish,
)


def test_messages_and_offsets_go_in_one_transaction() -> None:
    scenario = ClientScenario()

    publish(scenario.transactional())

    assert scenario.calls == ["init_transactions", *SUCCESSFUL_CALLS]
    (producer,) = scenario.producers
    assert producer.produced == [("out", b"k", b"%d" % n, [("h", b"x")]) for n in range(3)]
    (where,) = producer.offsets
    assert (where.topic, where.partition, where.offset, where.metadata) == ("in", 2, 7, "account")


@pytest.mark.parametrize("call", ["init_transactions", *dict.fromkeys(SUCCESSFUL_CALLS)])
def test_each_call_is_tried_again_while_the_client_says_so(call: str) -> None:
    scenario = ClientScenario(**failing_call(call, TIMED_OUT, TIMED_OUT))

    publish(scenario.transactional())

    assert scenario.calls.count(call) == (5 if call == "produce" else 3)
    assert len(scenario.producers) == 1


def test_a_commit_that_stays_unanswered_makes_the_outcome_unknown() -> None:
    """Retried up to the deadline and not longer; then a new producer settles what is pending."""
    scenario = ClientScenario(repeat_last=True, commit_transaction=[TIMED_OUT])
    outbox = scenario.transactional()
    began = scenario.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 10 <= scenario.now - began <= 13
    assert "abort_transaction" not in scenario.calls, "while a commit is pending there is no abort"
    assert scenario.calls[-2:] == ["purge", "init_transactions"]
    assert len(scenario.producers) == 2


def test_a_call_that_ignores_its_timeout_is_given_up_and_the_producer_renewed() -> None:
    """The client may wait for ever for a group's coordinator that was killed."""
    scenario = ClientScenario(hanging={"send_offsets_to_transaction"}, transaction_seconds=0.1)
    outbox = scenario.transactional(grace_seconds=0.05)

    with pytest.raises(OutcomeUnknown, match="send offsets: _TIMED_OUT"):
        publish(outbox)

    assert scenario.calls[-2:] == ["purge", "init_transactions"]
    assert len(scenario.producers) == 2
    scenario.hanging.clear()


def test_offsets_are_sent_in_one_call_that_may_take_all_the_time_there_is() -> None:
    """A timeout of this call aborts the transaction, so a short one would not be tried again."""
    scenario = ClientScenario()

    publish(scenario.transactional())

    (producer,) = scenario.producers
    assert producer.longest_send_offsets > CALL_TIMEOUT_SECONDS


def test_a_transaction_ends_before_the_timeout_of_the_broker() -> None:
    """Past it the broker fences the producer, as if another process had its id."""
    scenario = ClientScenario(
        repeat_last=True, transaction_seconds=4.0, commit_transaction=[TIMED_OUT]
    )
    outbox = scenario.transactional()
    began = scenario.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 4 <= scenario.now - began <= 6


def test_deadlines_missed_in_a_row_renew_the_producer_each_time() -> None:
    """A cluster in trouble is waited for; the loop counts the failures."""
    scenario = ClientScenario(repeat_last=True, commit_transaction=[TIMED_OUT])
    outbox = scenario.transactional()

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            publish(outbox)

    assert len(scenario.producers) == 4


def test_a_broken_producer_is_renewed_once_and_the_second_time_ends_the_process() -> None:
    broken = failure(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    scenario = ClientScenario(commit_transaction=[broken, broken])
    outbox = scenario.transactional()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    with pytest.raises(Unrecoverable, match="twice in a row"):
        publish(outbox)

    assert len(scenario.producers) == 2


def test_a_success_in_between_makes_the_next_renewal_the_first_again() -> None:
    broken = failure(KafkaError.INVALID_TXN_STATE)
    scenario = ClientScenario(commit_transaction=[broken, None, broken])
    outbox = scenario.transactional()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    publish(outbox)
    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert len(scenario.producers) == 3


def test_a_lost_membership_aborts_and_the_producer_is_kept() -> None:
    scenario = ClientScenario(send_offsets_to_transaction=[failure(KafkaError.ILLEGAL_GENERATION)])
    outbox = scenario.transactional()

    with pytest.raises(MicroBatchAborted, match="ILLEGAL_GENERATION"):
        publish(outbox)

    assert scenario.calls[-1] == "abort_transaction"
    assert "commit_transaction" not in scenario.calls
    publish(outbox)
    assert len(scenario.producers) == 1


def test_an_abort_that_fails_renews_the_producer() -> None:
    scenario = ClientScenario(
        send_offsets_to_transaction=[failure(KafkaError.ILLEGAL_GENERATION)],
        abort_transaction=[failure(KafkaError.INVALID_TXN_STATE)],
    )

    with pytest.raises(MicroBatchAborted):
        publish(scenario.transactional())

    assert len(scenario.producers) == 2


@pytest.mark.parametrize(
    "call", ["begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"]
)
def test_the_fenced_leave_at_once_and_touch_nothing(call: str) -> None:
    scenario = ClientScenario(**failing_call(call, failure(KafkaError._FENCED)))
    outbox = scenario.transactional()

    with pytest.raises(Fenced, match=r"\[consumer\] instance"):
        publish(outbox)
    outbox.close()

    assert scenario.calls[-1] == call
    assert len(scenario.producers) == 1


def test_an_error_without_a_flag_ends_the_process_and_closing_aborts() -> None:
    scenario = ClientScenario(send_offsets_to_transaction=[failure(KafkaError._FAIL)])
    outbox = scenario.transactional()

    with pytest.raises(Unrecoverable, match="send offsets"):
        publish(outbox)
    outbox.close()
    outbox.close()

    assert scenario.calls.count("abort_transaction") == 1


def test_a_full_queue_is_waited_for() -> None:
    scenario = ClientScenario(produce=[BufferError(), BufferError()])

    publish(scenario.transactional())

    assert len(scenario.producers[0].produced) == 3


def test_a_queue_that_stays_full_renews_the_producer() -> None:
    scenario = ClientScenario(repeat_last=True, produce=[BufferError()])

    with pytest.raises(OutcomeUnknown, match="_QUEUE_FULL"):
        publish(scenario.transactional())


def test_a_failed_transaction_is_never_committed_without_its_later_messages() -> None:
    """Also where the client, asked why produce() was refused, finds nothing wrong."""
    scenario = ClientScenario(produce=[None, failure(KafkaError._STATE)])

    with pytest.raises(Unrecoverable, match="_STATE"):
        publish(scenario.transactional())

    assert "commit_transaction" not in scenario.calls


def test_an_error_while_messages_are_made_leaves_the_transaction_to_be_aborted() -> None:
    def failing() -> Iterator[OutgoingMessage]:
        yield MESSAGES[0]
        raise ZeroDivisionError

    scenario = ClientScenario()
    outbox = scenario.transactional()

    with pytest.raises(ZeroDivisionError):
        outbox.publish(failing(), fixed_commit_plan, b"membership")
    outbox.close()

    assert scenario.calls[-1] == "abort_transaction"


def test_a_broker_that_does_not_begin_transactions_is_named_with_the_remedy() -> None:
    scenario = ClientScenario(repeat_last=True, init_transactions=[TIMED_OUT])

    with pytest.raises(BrokerUnavailable, match="at_least_once"):
        scenario.transactional()
