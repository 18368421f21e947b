"""The outbox publishes all or none, and takes the table's action for each failure."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    Unrecoverable,
)
from common.messaging.flushing_outbox import FlushingOutbox
from common.messaging.outbox import Commit
from common.messaging.records import OutgoingMessage, Partition
from common.messaging.transactional_outbox import TransactionalOutbox

MESSAGES = [OutgoingMessage("out", b"k", b"%d" % number, [("h", b"x")]) for number in range(3)]
COMMITS = [Commit(Partition("in", 2), 7, "account")]
ALL = ["begin_transaction", *["produce"] * 3, "send_offsets_to_transaction", "commit_transaction"]


def failure(code: int, *, retriable: bool = False, requires_abort: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "told by a test", False, retriable, requires_abort))


TIMED_OUT = failure(KafkaError._TIMED_OUT, retriable=True)


class FakeProducer:
    """Does as it is told: `failing[call]` holds what its next calls raise."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.offsets: list[TopicPartition] = []
        self.longest_flush = 0.0
        self.produced: list[tuple[Any, ...]] = []
        self.deliveries: list[Callable[[KafkaError | None, object], None]] = []

    def _call(self, name: str) -> None:
        self.world.calls.append(name)
        self.world.now += 0.5
        script = self.world.failing.get(name)
        if script:
            error = script.popleft() if len(script) > 1 or not self.world.for_ever else script[0]
            if error is not None:
                raise error

    def init_transactions(self, _seconds: float) -> None:
        self._call("init_transactions")

    def begin_transaction(self) -> None:
        self._call("begin_transaction")

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[KafkaError | None, object], None] | None = None,
    ) -> None:
        self._call("produce")
        self.produced.append((topic, key, value, headers))
        if on_delivery is not None:
            self.deliveries.append(on_delivery)

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], membership: object, _seconds: float
    ) -> None:
        self._call("send_offsets_to_transaction")
        assert membership == b"membership"
        self.offsets = offsets

    def commit_transaction(self, _seconds: float) -> None:
        self._call("commit_transaction")

    def abort_transaction(self, _seconds: float) -> None:
        self._call("abort_transaction")

    def flush(self, seconds: float) -> int:
        self._call("flush")
        self.longest_flush = max(self.longest_flush, seconds)
        for delivered in self.deliveries:
            delivered(self.world.delivery_error, None)
        return self.world.left

    def poll(self, _seconds: float) -> int:
        self.world.now += 0.05
        return 0

    def purge(self) -> None:
        self.world.calls.append("purge")


class World:
    """Clock, script and record of a test; each call into the client takes half a second."""

    def __init__(self, *, for_ever: bool = False, **failing: list[Exception | None]) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self.producers: list[FakeProducer] = []
        self.failing = {name: deque(errors) for name, errors in failing.items()}
        self.for_ever = for_ever
        """The last failure of each script repeats itself."""
        self.left = 0
        self.delivery_error: KafkaError | None = None
        self.commits: list[list[TopicPartition]] = []

    def new_producer(self) -> Producer:
        self.producers.append(FakeProducer(self))
        return cast("Producer", self.producers[-1])

    def transactional(self) -> TransactionalOutbox:
        return TransactionalOutbox(
            self.new_producer,
            transactional_id="writer",
            deadline_seconds=10,
            clock=lambda: self.now,
        )

    def flushing(
        self,
        commit_error: KafkaException | None = None,
        answer: Sequence[TopicPartition] | None = None,
    ) -> FlushingOutbox:
        def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
            self.calls.append("commit")
            if commit_error is not None:
                raise commit_error
            self.commits.append(offsets)
            return None if answer is None else list(answer)

        return FlushingOutbox(
            self.new_producer(), commit, deadline_seconds=10, clock=lambda: self.now
        )


def scripted(call: str, *errors: Exception | None) -> dict[str, Any]:
    """The failures of a call whose name is a parameter of the test."""
    return {call: list(errors)}


def publish(outbox: TransactionalOutbox | FlushingOutbox) -> None:
    outbox.publish(iter(MESSAGES), COMMITS, b"membership")


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
        outbox.publish(failing(), COMMITS, b"membership")
    outbox.close()

    assert world.calls[-1] == "abort_transaction"


def test_a_broker_that_does_not_begin_transactions_is_named_with_the_remedy() -> None:
    world = World(for_ever=True, init_transactions=[TIMED_OUT])

    with pytest.raises(BrokerUnavailable, match="at_least_once"):
        world.transactional()


def test_without_transactions_offsets_follow_the_delivery_of_all_messages() -> None:
    world = World()

    publish(world.flushing())

    assert world.calls == [*["produce"] * 3, "flush", "commit"]
    ((where,),) = world.commits
    assert (where.offset, where.metadata) == (7, "account")


@pytest.mark.parametrize("left", [0, 2])
def test_without_delivery_there_is_no_commit(left: int) -> None:
    world = World()
    world.left = left
    world.delivery_error = None if left else KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(world.flushing())

    assert "commit" not in world.calls


def test_a_fatal_error_of_the_client_is_one_of_ours() -> None:
    fatal = KafkaException(KafkaError(KafkaError._FATAL, "told by a test", True))
    for call in ("produce", "flush"):
        with pytest.raises(Unrecoverable):
            publish(World(**scripted(call, fatal)).flushing())


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
        publish(World().flushing(failure(code)))


@dataclass(frozen=True)
class Answered:
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
    answer = [Answered(None), Answered(KafkaError(code))]

    with pytest.raises(raised):
        publish(World().flushing(answer=cast("list[TopicPartition]", answer)))


def test_waiting_for_deliveries_leaves_room_for_signals_up_to_the_deadline() -> None:
    world = World()
    world.left = 1
    outbox = world.flushing()
    began = world.now

    with pytest.raises(Unrecoverable, match="not delivered"):
        publish(outbox)

    assert 10 <= world.now - began <= 13
    assert world.producers[0].longest_flush <= 1


def test_the_error_of_one_micro_batch_is_not_that_of_the_next() -> None:
    world = World()
    outbox = world.flushing()
    world.delivery_error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    with pytest.raises(Unrecoverable):
        publish(outbox)
    world.delivery_error = None

    publish(outbox)

    assert len(world.commits) == 1
