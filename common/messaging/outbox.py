"""Where results leave: messages and next offsets together, all of them or none."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from common.errors import (
    BrokerUnavailable,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    Unrecoverable,
)
from common.messaging.broker_errors import Reaction, Stage, reaction
from common.messaging.records import OutgoingMessage, Partition

CALL_SECONDS = 5.0
"""The longest that one call into the client waits before the deadline is looked at again."""
CLOSING_SECONDS = 2.0
_CLOSED = {KafkaError._STATE, KafkaError._FATAL}  # noqa: SLF001 - the client's names
"""What produce() says in a transaction that has failed in the background."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset of an input partition, with its account as metadata."""

    partition: Partition
    next_offset: int
    metadata: str

    def to_client(self) -> TopicPartition:
        """Return it as the client's own type."""
        where = self.partition
        return TopicPartition(where.topic, where.number, self.next_offset, metadata=self.metadata)


class Outbox(Protocol):
    """Publishes a micro-batch's results."""

    def publish(
        self, messages: Iterable[OutgoingMessage], commits: Sequence[Commit], membership: object
    ) -> None:
        """Publish messages and commit next offsets, or raise one of the errors of errors.py."""

    def close(self) -> None:
        """Leave nothing open."""


class TransactionalOutbox:
    """Exactly once: messages and next offsets in one transaction of a stable transactional id."""

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        *,
        transactional_id: str,
        deadline_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._new_producer = new_producer
        self._transactional_id = transactional_id
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._renewed = False
        self._open = False
        self._producer = self._start()

    def publish(
        self, messages: Iterable[OutgoingMessage], commits: Sequence[Commit], membership: object
    ) -> None:
        """Run one transaction.

        Raises MicroBatchAborted where it was aborted, OutcomeUnknown where nobody can say (in both
        cases go on from the committed offsets), Fenced or Unrecoverable where the process must go.
        """
        deadline = self._clock() + self._deadline_seconds
        offsets = [commit.to_client() for commit in commits]
        try:
            # 1. Begin only now, with everything decided: no transaction is open while consuming.
            self._call(Stage.INIT, deadline, lambda _seconds: self._producer.begin_transaction())
            self._open = True
            # 2. Results.
            try:
                for message in messages:
                    self._produce(message, deadline)
            except _ClientFailure as failure:
                if failure.code in _CLOSED:
                    # An earlier message failed meanwhile; only the next call says why.
                    self._send_offsets(offsets, membership, deadline)
                raise
            # 3. Next offsets, with the account as metadata, fenced by the group's generation.
            self._send_offsets(offsets, membership, deadline)
            # 4. All of it becomes visible, or none.
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
        def send(seconds: float) -> None:
            self._producer.send_offsets_to_transaction(offsets, membership, seconds)

        self._call(Stage.SEND_OFFSETS, deadline, send)

    def _commit(self, seconds: float) -> None:
        self._producer.commit_transaction(seconds)

    def _produce(self, message: OutgoingMessage, deadline: float) -> None:
        def produce(_seconds: float) -> None:
            self._producer.produce(
                message.topic, message.value, message.key, headers=list(message.headers)
            )

        while True:
            try:
                return self._call(Stage.PRODUCE, deadline, produce)
            except BufferError:
                if self._clock() > deadline:
                    full = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - the client's name
                    raise _ClientFailure(Stage.PRODUCE, full, Reaction.RENEW_PRODUCER) from None
                _serve(self._producer)

    def _call(self, stage: Stage, deadline: float, action: Callable[[float], Any]) -> None:
        """Call the client until it succeeds, fails for good, or the deadline is past."""
        while True:
            try:
                action(max(0.1, min(CALL_SECONDS, deadline - self._clock())))
            except KafkaException as error:
                found = reaction(error.args[0], stage)
                if found is not Reaction.RETRY:
                    raise _ClientFailure(stage, error.args[0], found) from error
                if self._clock() > deadline:
                    raise _ClientFailure(stage, error.args[0], Reaction.RENEW_PRODUCER) from error
                _serve(self._producer)
            else:
                return

    def _react(self, failure: "_ClientFailure") -> NoReturn:
        match failure.reaction:
            case Reaction.ABORT_AND_REWIND:
                self._abort()
                raise MicroBatchAborted(str(failure)) from failure
            case Reaction.RENEW_PRODUCER:
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
        if self._renewed:
            raise Unrecoverable(f"{failure}: twice in a row, also with a new producer") from failure
        self._renewed = True
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


class FlushingOutbox:
    """At least once, for brokers without transactions: flush the messages, then commit offsets."""

    def __init__(
        self,
        producer: Producer,
        commit: Callable[[list[TopicPartition]], None],
        *,
        deadline_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._commit = commit
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._failed: KafkaError | None = None

    def publish(
        self, messages: Iterable[OutgoingMessage], commits: Sequence[Commit], membership: object
    ) -> None:
        """Flush, then commit; after a crash between the two, messages are published again.

        Raises MicroBatchAborted where the group's membership was lost, else Unrecoverable.
        """
        del membership  # a plain commit is fenced by the consumer's own
        deadline = self._clock() + self._deadline_seconds
        self._failed = None
        for message in messages:
            self._produce(message, deadline)
        self._flush()
        try:
            self._commit([commit.to_client() for commit in commits])
        except KafkaException as error:
            if reaction(error.args[0], Stage.SEND_OFFSETS) is Reaction.ABORT_AND_REWIND:
                raise MicroBatchAborted(f"commit: {error.args[0].str()}") from error
            raise Unrecoverable(f"commit: {error.args[0].str()}") from error

    def close(self) -> None:
        """Nothing stays open between two publications."""

    def _flush(self) -> None:
        try:
            left = self._producer.flush(self._deadline_seconds)
        except KafkaException as error:  # a fatal one
            raise Unrecoverable(f"not delivered: {error.args[0].str()}") from error
        if left or self._failed:
            why = self._failed or f"{left} messages still waiting"
            raise Unrecoverable(f"not delivered within {self._deadline_seconds:g} s: {why}")

    def _produce(self, message: OutgoingMessage, deadline: float) -> None:
        while True:
            try:
                return self._producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    headers=list(message.headers),
                    on_delivery=self._delivered,
                )
            except BufferError:
                if self._clock() > deadline:
                    raise Unrecoverable("the producer's queue stays full") from None
                _serve(self._producer)
            except KafkaException as error:
                raise Unrecoverable(f"produce: {error.args[0].str()}") from error

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None and self._failed is None:
            self._failed = error


def _serve(producer: Producer) -> None:
    """Let the client call back. A fatal error is raised here; the next call names it again."""
    with suppress(KafkaException):
        producer.poll(0.05)


class _ClientFailure(Exception):
    """An error of the client with the reaction that the table gives for it."""

    def __init__(self, stage: Stage, error: KafkaError, reaction: Reaction) -> None:
        super().__init__(f"{stage}: {error.name()}: {error.str()}")
        self.code = error.code()
        self.reaction = reaction
