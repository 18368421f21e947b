"""The exactly-once outbox: one transaction for messages, snapshots and next offsets."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from sensorwatch.common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    SnapshotNotWritten,
    Unrecoverable,
)
from sensorwatch.common.kafka.broker_errors import ClientOperation, Reaction, reaction
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import CHUNK_BYTES, Snapshot
from sensorwatch.consumer.publishing.bounded_call import CallOverdue, call_within
from sensorwatch.consumer.publishing.outbox import (
    CommitPlanner,
    OnDelivery,
    flush,
    poll_callbacks,
    produce,
)
from sensorwatch.consumer.publishing.snapshot_writing import DeliveryTracker, write_snapshots

CALL_TIMEOUT_SECONDS = 5.0
"""Timeout of one call into the client; the deadline is checked between calls."""
CALL_GRACE_SECONDS = 1.0
"""A call is abandoned if it has not returned this many seconds after its timeout."""
CLOSE_TIMEOUT_SECONDS = 2.0
_FAILED_TRANSACTION_ERRORS = {KafkaError._STATE, KafkaError._FATAL}  # noqa: SLF001 - the client's names
"""Errors of produce() after the transaction has failed in a background thread of the client."""


class TransactionalOutbox:
    """Publishes each micro-batch in one transaction.

    The class of a raised error shows how the caller must react.
    """

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        *,
        transactional_id: str,
        start_seconds: float,
        transaction_seconds: float,
        state_topic: str,
        chunk_bytes: int = CHUNK_BYTES,
        grace_seconds: float = CALL_GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start a producer, which aborts the open transaction of an earlier producer with this id.

        `start_seconds` is the time limit for starting this producer and each later one.
        `transaction_seconds` is the time limit for a transaction, and for its abort. This limit
        must be less than the timeout after which the broker aborts the transaction and fences the
        producer. Raises Fenced or BrokerUnavailable.
        """
        self._new_producer = new_producer
        self._transactional_id = transactional_id
        self._start_seconds = start_seconds
        self._transaction_seconds = transaction_seconds
        self._grace_seconds = grace_seconds
        self._state_topic = state_topic
        self._chunk_bytes = chunk_bytes
        self._clock = clock
        self._broken_producer_replaced = False
        self._transaction_open = False
        self._producer = self._start_producer()

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Publish everything in one transaction.

        Raises MicroBatchAborted if the transaction was aborted, and OutcomeUnknown if its outcome
        is not known. After both errors, the caller continues from the committed offsets. Raises
        Fenced or Unrecoverable if the process must exit, and BrokerUnavailable if no new producer
        can be started.
        """
        deadline = self._clock() + self._transaction_seconds
        try:
            self._commit_transaction(messages, plan_commit, membership, snapshots, deadline)
        except _ClientFailure as failure:
            self._raise_for_reaction(failure)
        self._broken_producer_replaced = False

    def publish_last(
        self,
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot],
        seconds: float,
    ) -> None:
        """Publish snapshots and the commit plan in one transaction before the process exits.

        Takes at most about `seconds`. Raises SnapshotNotWritten after any failure; `close` then
        aborts the transaction.
        """
        deadline = self._clock() + min(seconds, self._transaction_seconds)
        try:
            self._commit_transaction([], plan_commit, membership, snapshots, deadline)
        except _ClientFailure as failure:
            raise SnapshotNotWritten(str(failure)) from failure

    def _commit_transaction(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        snapshots: Sequence[Snapshot],
        deadline: float,
    ) -> None:
        """Publish everything in one transaction; raise _ClientFailure if that fails."""
        # Begin the transaction only here, so that no transaction is open during consume().
        self._call(
            ClientOperation.INIT, deadline, lambda _seconds: self._producer.begin_transaction()
        )
        self._transaction_open = True
        try:
            for message in messages:
                self._produce(message, deadline)
            # The plan needs the offsets of the snapshots' manifests.
            commit_plan = plan_commit(self._write_snapshots(snapshots, deadline))
            for message in commit_plan.messages:
                self._produce(message, deadline)
            # The broker refuses these offsets if the generation in `membership` is outdated.
            offsets = [commit.to_client() for commit in commit_plan.commits]
            self._send_offsets(offsets, membership, deadline)
        except _ClientFailure as failure:
            if failure.cause_unknown:
                self._raise_cause(membership, deadline)
            raise
        self._call(ClientOperation.COMMIT, deadline, self._commit)
        self._transaction_open = False

    def close(self) -> None:
        """Abort an open transaction, so that no reader waits for its end."""
        if self._transaction_open:
            try:
                self._producer.abort_transaction(CLOSE_TIMEOUT_SECONDS)
            except KafkaException:
                return  # the next producer with the same transactional id aborts the transaction
            self._transaction_open = False

    def _send_offsets(
        self, offsets: list[TopicPartition], membership: object, deadline: float
    ) -> None:
        producer = self._producer

        def send(seconds: float) -> None:
            # After the group's coordinator was killed, the client may ignore this timeout and wait
            # forever: docs/decisions/0014-waiting-for-a-broker.md.
            call_within(
                seconds + self._grace_seconds,
                lambda: producer.send_offsets_to_transaction(offsets, membership, seconds),
            )

        # Make a single call with all of the remaining time: a timeout aborts the transaction.
        self._call(
            ClientOperation.SEND_OFFSETS,
            deadline,
            send,
            max_call_seconds=self._transaction_seconds,
        )

    def _commit(self, seconds: float) -> None:
        self._producer.commit_transaction(seconds)

    def _raise_cause(self, membership: object, deadline: float) -> None:
        """Raise the cause of a failure that happened in a background thread of the client.

        Only the next call into the client returns the cause, so this method calls the client with
        an offset of the state topic. The client returns the cause before it sends the offset. Even
        if the client sent the offset, the failed transaction would not commit it.
        """
        self._send_offsets([TopicPartition(self._state_topic, 0, 0)], membership, deadline)

    def _write_snapshots(
        self, snapshots: Sequence[Snapshot], deadline: float
    ) -> Mapping[Partition, int]:
        return write_snapshots(
            snapshots,
            self._state_topic,
            lambda messages: self._deliver(messages, deadline),
            chunk_bytes=self._chunk_bytes,
        )

    def _deliver(self, messages: Iterable[OutgoingMessage], deadline: float) -> list[int]:
        """Produce messages, wait for their delivery, and return their offsets.

        Only snapshots are delivered in this way, because a delivery report for each message halves
        the throughput.
        """
        tracker = DeliveryTracker()
        for message in messages:
            self._produce(message, deadline, tracker.next_callback())
        while not tracker.is_finished:
            if self._clock() > deadline:
                timeout_error = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - the client's name
                raise _ClientFailure(
                    ClientOperation.PRODUCE, timeout_error, Reaction.RENEW_PRODUCER
                )
            try:
                remaining_seconds = max(0.1, deadline - self._clock())
                flush(self._producer, min(CALL_TIMEOUT_SECONDS, remaining_seconds))
            except KafkaException as error:  # a fatal error
                tracker.first_error = error.args[0]
        if tracker.first_error is not None:
            error_reaction = reaction(tracker.first_error, ClientOperation.PRODUCE)
            raise _ClientFailure(
                ClientOperation.PRODUCE, tracker.first_error, error_reaction, cause_unknown=True
            )
        if tracker.offsets is None:
            duplicate_error = KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER)
            raise _ClientFailure(
                ClientOperation.PRODUCE, duplicate_error, Reaction.ABORT_AND_REWIND
            )
        return tracker.offsets

    def _produce(
        self, message: OutgoingMessage, deadline: float, on_delivery: OnDelivery | None = None
    ) -> None:
        while True:
            try:
                return produce(self._producer, message, on_delivery)
            except KafkaException as error:
                self._wait_or_fail(ClientOperation.PRODUCE, deadline, error)
            except BufferError:
                if self._clock() > deadline:
                    queue_full_error = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - the client's name
                    raise _ClientFailure(
                        ClientOperation.PRODUCE, queue_full_error, Reaction.RENEW_PRODUCER
                    ) from None
                poll_callbacks(self._producer)

    def _call(
        self,
        operation: ClientOperation,
        deadline: float,
        action: Callable[[float], Any],
        *,
        max_call_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> None:
        """Call the client until a call succeeds; raise _ClientFailure if a retry cannot help."""
        while True:
            try:
                action(max(0.1, min(max_call_seconds, deadline - self._clock())))
            except KafkaException as error:
                self._wait_or_fail(operation, deadline, error)
            except CallOverdue as error:
                overdue_error = KafkaError(KafkaError._TIMED_OUT, str(error))  # noqa: SLF001 - the client's name
                raise _ClientFailure(operation, overdue_error, Reaction.RENEW_PRODUCER) from error
            else:
                return

    def _wait_or_fail(
        self, operation: ClientOperation, deadline: float, error: KafkaException
    ) -> None:
        """Run the client's callbacks before the caller's retry; raise if a retry cannot help."""
        error_reaction = reaction(error.args[0], operation)
        if error_reaction is not Reaction.RETRY:
            raise _ClientFailure(operation, error.args[0], error_reaction) from error
        if self._clock() > deadline:
            raise _ClientFailure(operation, error.args[0], Reaction.RENEW_PRODUCER) from error
        poll_callbacks(self._producer)

    def _raise_for_reaction(self, failure: "_ClientFailure") -> NoReturn:
        match failure.reaction:
            case Reaction.ABORT_AND_REWIND:
                self._abort()
                raise MicroBatchAborted(str(failure)) from failure
            case Reaction.RENEW_PRODUCER | Reaction.RENEW_BROKEN_PRODUCER:
                self._replace_producer(failure)
                raise OutcomeUnknown(str(failure)) from failure
            case Reaction.EXIT_FENCED:
                self._transaction_open = False
                raise Fenced(
                    f'{failure}: the transactional id "{self._transactional_id}" was taken over. '
                    "If this worker was frozen for longer than a transaction may last, start it "
                    "again. If another process has the same id, give each host or pod its own "
                    "[consumer] instance"
                ) from failure
            case _:
                raise Unrecoverable(str(failure)) from failure

    def _abort(self) -> None:
        deadline = self._clock() + self._transaction_seconds
        try:
            self._call(ClientOperation.ABORT, deadline, self._producer.abort_transaction)
        except _ClientFailure as failure:
            if failure.reaction in (Reaction.EXIT_FENCED, Reaction.CRASH):
                self._raise_for_reaction(failure)
            self._replace_producer(failure)
        self._transaction_open = False

    def _replace_producer(self, failure: "_ClientFailure") -> None:
        """Start a producer with the same transactional id; its start ends the open transaction."""
        self._transaction_open = False
        is_producer_broken = failure.reaction is Reaction.RENEW_BROKEN_PRODUCER
        if is_producer_broken and self._broken_producer_replaced:
            raise Unrecoverable(
                f"{failure}: an error of this kind occurred twice in a row, the second time with a "
                "new producer"
            ) from failure
        self._broken_producer_replaced = is_producer_broken
        self._producer.purge()
        self._producer = self._start_producer()

    def _start_producer(self) -> Producer:
        producer = self._new_producer()
        self._producer = producer
        deadline = self._clock() + self._start_seconds
        try:
            self._call(ClientOperation.INIT, deadline, producer.init_transactions)
        except _ClientFailure as failure:
            if failure.reaction is Reaction.EXIT_FENCED:
                self._raise_for_reaction(failure)
            raise BrokerUnavailable(
                f"{failure}: the broker did not initialise transactions for "
                f'"{self._transactional_id}" within {self._start_seconds:g} s. Check that the '
                "broker is up and supports transactions, or set [consumer] delivery = "
                '"at_least_once"'
            ) from failure
        return producer


class _ClientFailure(Exception):
    """An error of the client, with the reaction that broker_errors.py assigns to it."""

    def __init__(
        self,
        operation: ClientOperation,
        error: KafkaError,
        reaction: Reaction,
        *,
        cause_unknown: bool = False,
    ) -> None:
        super().__init__(f"{operation}: {error.name()}: {error.str()}")
        self.reaction = reaction
        self.cause_unknown = cause_unknown or error.code() in _FAILED_TRANSACTION_ERRORS
        """True if an earlier error caused this one; the next call returns the earlier error."""
