"""Exactly once: results and next offsets in one transaction of a stable transactional id."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    Unrecoverable,
)
from common.messaging.bounded_call import CallOverdue, call_within
from common.messaging.broker_errors import Reaction, Stage, reaction
from common.messaging.outbox import Conclude, OnDelivery, flush, produce, serve
from common.messaging.records import OutgoingMessage, Partition
from common.messaging.snapshot_text import CHUNK_BYTES, Snapshot
from common.messaging.snapshot_writing import Deliveries, write_snapshots

CALL_SECONDS = 5.0
"""The longest that one call into the client waits before the deadline is looked at again."""
GRACE_SECONDS = 1.0
"""How long after its timeout a call that ignores it is given up."""
CLOSING_SECONDS = 2.0
_CLOSED = {KafkaError._STATE, KafkaError._FATAL}  # noqa: SLF001 - the client's names
"""What produce() says in a transaction that has failed in the background."""


class TransactionalOutbox:
    """One transaction per publication; what fails is told by the reaction it calls for."""

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        *,
        transactional_id: str,
        deadline_seconds: float,
        transaction_seconds: float,
        state_topic: str,
        chunk_bytes: int = CHUNK_BYTES,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start a producer, which ends what its predecessor with the same id left open.

        `transaction_seconds`: how long one transaction may take; less than the timeout after which
        the broker aborts it and fences the producer. `deadline_seconds`: the same for starting a
        producer and for aborting.
        """
        self._new_producer = new_producer
        self._transactional_id = transactional_id
        self._deadline_seconds = deadline_seconds
        self._transaction_seconds = transaction_seconds
        self._grace_seconds = grace_seconds
        self._state_topic = state_topic
        self._chunk_bytes = chunk_bytes
        self._clock = clock
        self._renewed = False
        self._open = False
        self._producer = self._start()

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        conclude: Conclude,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Run one transaction.

        Raises MicroBatchAborted where it was aborted, OutcomeUnknown where nobody can say (in both
        cases go on from the committed offsets), Fenced or Unrecoverable where the process must go.
        """
        deadline = self._clock() + self._transaction_seconds
        try:
            # 1. Begin only now, with everything decided: no transaction is open while consuming.
            self._call(Stage.INIT, deadline, lambda _seconds: self._producer.begin_transaction())
            self._open = True
            try:
                # 2. Results.
                for message in messages:
                    self._produce(message, deadline)
                # 3. Snapshots, and what has to say where they stand.
                conclusion = conclude(self._write(snapshots, deadline))
                for message in conclusion.messages:
                    self._produce(message, deadline)
            except _ClientFailure as failure:
                if failure.unexplained:
                    self._ask_why(membership, deadline)
                raise
            # 4. Next offsets, with the account as metadata, fenced by the group's generation.
            offsets = [commit.to_client() for commit in conclusion.commits]
            self._send_offsets(offsets, membership, deadline)
            # 5. All of it becomes visible, or none.
            self._call(Stage.COMMIT, deadline, self._commit)
        except _ClientFailure as failure:
            self._react(failure)
        self._open = self._renewed = False

    def close(self) -> None:
        """Abort what is open, so that no reader waits for it."""
        if self._open:
            try:
                self._producer.abort_transaction(CLOSING_SECONDS)
            except KafkaException:
                return  # the next start with the same transactional id aborts it
            self._open = False

    def _send_offsets(
        self, offsets: list[TopicPartition], membership: object, deadline: float
    ) -> None:
        producer = self._producer

        def send(seconds: float) -> None:
            # If the group's coordinator was killed, the client (2.16) may wait for it for ever,
            # past this timeout: librdkafka's issues 5456 and 5511, docs/decisions/0013.
            call_within(
                seconds + self._grace_seconds,
                lambda: producer.send_offsets_to_transaction(offsets, membership, seconds),
            )

        # In one call: unlike the others it cannot be repeated after its timeout, only aborted.
        self._call(Stage.SEND_OFFSETS, deadline, send, longest=self._transaction_seconds)

    def _commit(self, seconds: float) -> None:
        self._producer.commit_transaction(seconds)

    def _ask_why(self, membership: object, deadline: float) -> None:
        """Raise why the transaction failed in the background: only the next call tells.

        The client answers before it looks at what it is asked to send, and if it were sent after
        all, it would never be committed.
        """
        self._send_offsets([TopicPartition(self._state_topic, 0, 0)], membership, deadline)

    def _write(self, snapshots: Sequence[Snapshot], deadline: float) -> Mapping[Partition, int]:
        return write_snapshots(
            snapshots,
            self._state_topic,
            lambda messages: self._deliver(messages, deadline),
            chunk_bytes=self._chunk_bytes,
        )

    def _deliver(self, messages: Iterable[OutgoingMessage], deadline: float) -> list[int]:
        """Produce messages and wait until their offsets are known.

        Only for the few of a snapshot: being told of each message halves the rate.
        """
        deliveries = Deliveries()
        for message in messages:
            self._produce(message, deadline, deliveries.expect())
        while not deliveries.settled:
            if self._clock() > deadline:
                late = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - the client's name
                raise _ClientFailure(Stage.PRODUCE, late, Reaction.RENEW_PRODUCER)
            try:
                flush(self._producer, CALL_SECONDS)
            except KafkaException as error:  # a fatal one
                deliveries.failed = error.args[0]
        if deliveries.failed is not None:
            found = reaction(deliveries.failed, Stage.PRODUCE)
            raise _ClientFailure(Stage.PRODUCE, deliveries.failed, found, unexplained=True)
        if deliveries.offsets is None:
            twice = KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER)
            raise _ClientFailure(Stage.PRODUCE, twice, Reaction.ABORT_AND_REWIND)
        return deliveries.offsets

    def _produce(
        self, message: OutgoingMessage, deadline: float, on_delivery: OnDelivery | None = None
    ) -> None:
        while True:
            try:
                return produce(self._producer, message, on_delivery)
            except KafkaException as error:
                self._wait_or_fail(Stage.PRODUCE, deadline, error)
            except BufferError:
                if self._clock() > deadline:
                    full = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - the client's name
                    raise _ClientFailure(Stage.PRODUCE, full, Reaction.RENEW_PRODUCER) from None
                serve(self._producer)

    def _call(
        self,
        stage: Stage,
        deadline: float,
        action: Callable[[float], Any],
        *,
        longest: float = CALL_SECONDS,
    ) -> None:
        """Call the client until it succeeds, fails for good, or the deadline is past.

        `longest`: seconds that one call may take.
        """
        while True:
            try:
                action(max(0.1, min(longest, deadline - self._clock())))
            except KafkaException as error:
                self._wait_or_fail(stage, deadline, error)
            except CallOverdue as error:
                late = KafkaError(KafkaError._TIMED_OUT, str(error))  # noqa: SLF001 - its name
                raise _ClientFailure(stage, late, Reaction.RENEW_PRODUCER) from error
            else:
                return

    def _wait_or_fail(self, stage: Stage, deadline: float, error: KafkaException) -> None:
        """Let the client work before the same call is tried again, if that may help."""
        found = reaction(error.args[0], stage)
        if found is not Reaction.RETRY:
            raise _ClientFailure(stage, error.args[0], found) from error
        if self._clock() > deadline:
            raise _ClientFailure(stage, error.args[0], Reaction.RENEW_PRODUCER) from error
        serve(self._producer)

    def _react(self, failure: "_ClientFailure") -> NoReturn:
        match failure.reaction:
            case Reaction.ABORT_AND_REWIND:
                self._abort()
                raise MicroBatchAborted(str(failure)) from failure
            case Reaction.RENEW_PRODUCER | Reaction.RENEW_BROKEN_PRODUCER:
                self._renew(failure)
                raise OutcomeUnknown(str(failure)) from failure
            case Reaction.EXIT_FENCED:
                self._open = False
                raise Fenced(
                    f'{failure}: the transactional id "{self._transactional_id}" was taken over. '
                    "Either a transaction outlived its timeout while the broker was away: start "
                    "again; or another process has the same id: give each host or pod its own "
                    "[consumer] instance"
                ) from failure
            case _:
                raise Unrecoverable(str(failure)) from failure

    def _abort(self) -> None:
        deadline = self._clock() + self._deadline_seconds
        try:
            self._call(Stage.ABORT, deadline, self._producer.abort_transaction)
        except _ClientFailure as failure:
            if failure.reaction in (Reaction.EXIT_FENCED, Reaction.CRASH):
                self._react(failure)
            self._renew(failure)
        self._open = False

    def _renew(self, failure: "_ClientFailure") -> None:
        """Drop the producer: initialising a new one with the same id settles what is pending."""
        self._open = False
        broken = failure.reaction is Reaction.RENEW_BROKEN_PRODUCER
        if broken and self._renewed:
            raise Unrecoverable(f"{failure}: twice in a row, also with a new producer") from failure
        self._renewed = broken
        self._producer.purge()
        self._producer = self._start()

    def _start(self) -> Producer:
        producer = self._new_producer()
        self._producer = producer
        deadline = self._clock() + self._deadline_seconds
        try:
            self._call(Stage.INIT, deadline, producer.init_transactions)
        except _ClientFailure as failure:
            if failure.reaction is Reaction.EXIT_FENCED:
                self._react(failure)
            raise BrokerUnavailable(
                f"{failure}: the broker did not begin transactions for "
                f'"{self._transactional_id}" within {self._deadline_seconds:g} s; check that it is '
                'up and supports transactions, or set [consumer] delivery = "at_least_once"'
            ) from failure
        return producer


class _ClientFailure(Exception):
    """An error of the client with the reaction that the table gives for it."""

    def __init__(
        self, stage: Stage, error: KafkaError, reaction: Reaction, *, unexplained: bool = False
    ) -> None:
        super().__init__(f"{stage}: {error.name()}: {error.str()}")
        self.reaction = reaction
        self.unexplained = unexplained or error.code() in _CLOSED
        """Whether it only follows from another that is still to be asked for."""
