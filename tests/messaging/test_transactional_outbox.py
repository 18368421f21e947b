"""The transactional outbox publishes all or none, and takes the action for each failure."""

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    Unrecoverable,
)
from common.messaging.records import OutgoingMessage
from common.messaging.transactional_outbox import CALL_SECONDS
from tests.messaging.outboxes import (
    ALL,
    MESSAGES,
    TIMED_OUT,
    World,
    concluded,
    failure,
    publish,
    scripted,
)


def test_messages_and_offsets_go_in_one_transaction() -> None:
    world = World()

    publish(world.transactional())

    assert world.calls == ["init_transactions", *ALL]
    (producer,) = world.producers
    assert producer.produced == [("out", b"k", b"%d" % n, [("h", b"x")]) for n in range(3)]
    (where,) = producer.offsets
    assert (where.topic, where.partition, where.offset, where.metadata) == ("in", 2, 7, "account")


@pytest.mark.parametrize("call", ["init_transactions", *dict.fromkeys(ALL)])
def test_each_call_is_tried_again_while_the_client_says_so(call: str) -> None:
    world = World(**scripted(call, TIMED_OUT, TIMED_OUT))

    publish(world.transactional())

    assert world.calls.count(call) == (5 if call == "produce" else 3)
    assert len(world.producers) == 1


def test_a_commit_that_stays_unanswered_makes_the_outcome_unknown() -> None:
    """Retried up to the deadline and not longer; then a new producer settles what is pending."""
    world = World(for_ever=True, commit_transaction=[TIMED_OUT])
    outbox = world.transactional()
    began = world.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 10 <= world.now - began <= 13
    assert "abort_transaction" not in world.calls, "while a commit is pending there is no abort"
    assert world.calls[-2:] == ["purge", "init_transactions"]
    assert len(world.producers) == 2


def test_a_call_that_ignores_its_timeout_is_given_up_and_the_producer_renewed() -> None:
    """The client may wait for ever for a group's coordinator that was killed."""
    world = World(hanging={"send_offsets_to_transaction"})
    world.transaction_seconds = 0.1
    outbox = world.transactional(grace_seconds=0.05)

    with pytest.raises(OutcomeUnknown, match="send offsets: _TIMED_OUT"):
        publish(outbox)

    assert world.calls[-2:] == ["purge", "init_transactions"]
    assert len(world.producers) == 2
    world.hanging.clear()


def test_offsets_are_sent_in_one_call_that_may_take_all_the_time_there_is() -> None:
    """A timeout of this call aborts the transaction, so a short one would not be a second try."""
    world = World()

    publish(world.transactional())

    (producer,) = world.producers
    assert producer.longest_send_offsets > CALL_SECONDS


def test_a_transaction_ends_before_the_timeout_of_the_broker() -> None:
    """Past it the broker fences the producer, as if another process had its id."""
    world = World(for_ever=True, commit_transaction=[TIMED_OUT])
    world.transaction_seconds = 4.0
    outbox = world.transactional()
    began = world.now

    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert 4 <= world.now - began <= 6


def test_deadlines_missed_in_a_row_renew_the_producer_each_time() -> None:
    """A cluster in trouble is waited for; the loop counts the failures."""
    world = World(for_ever=True, commit_transaction=[TIMED_OUT])
    outbox = world.transactional()

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            publish(outbox)

    assert len(world.producers) == 4


def test_a_broken_producer_is_renewed_once_and_the_second_time_ends_the_process() -> None:
    broken = failure(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    world = World(commit_transaction=[broken, broken])
    outbox = world.transactional()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    with pytest.raises(Unrecoverable, match="twice in a row"):
        publish(outbox)

    assert len(world.producers) == 2


def test_a_success_in_between_makes_the_next_renewal_the_first_again() -> None:
    broken = failure(KafkaError.INVALID_TXN_STATE)
    world = World(commit_transaction=[broken, None, broken])
    outbox = world.transactional()

    with pytest.raises(OutcomeUnknown):
        publish(outbox)
    publish(outbox)
    with pytest.raises(OutcomeUnknown):
        publish(outbox)

    assert len(world.producers) == 3


def test_a_lost_membership_aborts_and_the_producer_is_kept() -> None:
    world = World(send_offsets_to_transaction=[failure(KafkaError.ILLEGAL_GENERATION)])
    outbox = world.transactional()

    with pytest.raises(MicroBatchAborted, match="ILLEGAL_GENERATION"):
        publish(outbox)

    assert world.calls[-1] == "abort_transaction"
    assert "commit_transaction" not in world.calls
    publish(outbox)
    assert len(world.producers) == 1


def test_an_abort_that_fails_renews_the_producer() -> None:
    world = World(
        send_offsets_to_transaction=[failure(KafkaError.ILLEGAL_GENERATION)],
        abort_transaction=[failure(KafkaError.INVALID_TXN_STATE)],
    )

    with pytest.raises(MicroBatchAborted):
        publish(world.transactional())

    assert len(world.producers) == 2


@pytest.mark.parametrize(
    "call", ["begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"]
)
def test_the_fenced_leave_at_once_and_touch_nothing(call: str) -> None:
    world = World(**scripted(call, failure(KafkaError._FENCED)))
    outbox = world.transactional()

    with pytest.raises(Fenced, match=r"\[consumer\] instance"):
        publish(outbox)
    outbox.close()

    assert world.calls[-1] == call
    assert len(world.producers) == 1


def test_an_error_without_a_flag_ends_the_process_and_closing_aborts() -> None:
    world = World(send_offsets_to_transaction=[failure(KafkaError._FAIL)])
    outbox = world.transactional()

    with pytest.raises(Unrecoverable, match="send offsets"):
        publish(outbox)
    outbox.close()
    outbox.close()

    assert world.calls.count("abort_transaction") == 1


def test_a_full_queue_is_waited_for() -> None:
    world = World(produce=[BufferError(), BufferError()])

    publish(world.transactional())

    assert len(world.producers[0].produced) == 3


def test_a_queue_that_stays_full_renews_the_producer() -> None:
    world = World(for_ever=True, produce=[BufferError()])

    with pytest.raises(OutcomeUnknown, match="_QUEUE_FULL"):
        publish(world.transactional())


def test_a_failed_transaction_is_never_committed_without_its_later_messages() -> None:
    """Also where the client, asked why produce() was refused, finds nothing wrong."""
    world = World(produce=[None, failure(KafkaError._STATE)])

    with pytest.raises(Unrecoverable, match="_STATE"):
        publish(world.transactional())

    assert "commit_transaction" not in world.calls


def test_an_error_while_messages_are_made_leaves_the_transaction_to_be_aborted() -> None:
    def failing() -> Iterator[OutgoingMessage]:
        yield MESSAGES[0]
        raise ZeroDivisionError

    world = World()
    outbox = world.transactional()

    with pytest.raises(ZeroDivisionError):
        outbox.publish(failing(), concluded, b"membership")
    outbox.close()

    assert world.calls[-1] == "abort_transaction"


def test_a_broker_that_does_not_begin_transactions_is_named_with_the_remedy() -> None:
    world = World(for_ever=True, init_transactions=[TIMED_OUT])

    with pytest.raises(BrokerUnavailable, match="at_least_once"):
        world.transactional()
