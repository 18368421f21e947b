"""A fake producer whose errors, calls and clock a scenario controls, to test outboxes."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.kafka.record_builders import StoredRecord

MESSAGES = [OutgoingMessage("out", b"k", b"%d" % number, [("h", b"x")]) for number in range(3)]
COMMITS = [Commit(Partition("in", 2), 7, "account")]
STATE_TOPIC = "g.state"
SUCCESSFUL_CALLS = [
    "begin_transaction",
    *["produce"] * 3,
    "send_offsets_to_transaction",
    "commit_transaction",
]


def kafka_exception(
    code: int, *, retriable: bool = False, requires_abort: bool = False
) -> KafkaException:
    return KafkaException(KafkaError(code, "made by a test", False, retriable, requires_abort))


TIMED_OUT_ERROR = kafka_exception(KafkaError._TIMED_OUT, retriable=True)


class FakeProducer:
    """A producer whose calls raise the errors of a scenario, one error per call."""

    def __init__(self, scenario: "ClientScenario") -> None:
        self.scenario = scenario
        self.offsets: list[TopicPartition] = []
        self.longest_flush_timeout = 0.0
        self.longest_send_offsets_timeout = 0.0
        self.produced_messages: list[tuple[Any, ...]] = []
        self.partitions: list[int] = []
        self.deliveries: list[tuple[int, Callable[[KafkaError | None, Message], None]]] = []

    def _record_call(self, name: str) -> None:
        self.scenario.calls.append(name)
        while name in self.scenario.hanging_calls:
            sleep(0.01)
        self.scenario.now += 0.5
        call_errors = self.scenario.errors_by_call.get(name)
        if call_errors:
            error = (
                call_errors.popleft()
                if len(call_errors) > 1 or not self.scenario.repeat_last_error
                else call_errors[0]
            )
            if error is not None:
                raise error

    def init_transactions(self, _seconds: float) -> None:
        self._record_call("init_transactions")

    def begin_transaction(self) -> None:
        self._record_call("begin_transaction")

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None] | None,
        headers: list[tuple[str, bytes]],
        timestamp: int,
    ) -> None:
        self._record_call("produce")
        assert timestamp == 0, "0 means the time of sending"
        self.produced_messages.append((topic, key, value, headers))
        self.partitions.append(partition)
        if on_delivery is not None:
            self.deliveries.append((len(self.produced_messages) - 1, on_delivery))

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], membership: object, seconds: float
    ) -> None:
        self.longest_send_offsets_timeout = max(self.longest_send_offsets_timeout, seconds)
        self._record_call("send_offsets_to_transaction")
        assert membership == b"membership"
        self.offsets = offsets

    def commit_transaction(self, _seconds: float) -> None:
        self._record_call("commit_transaction")

    def abort_transaction(self, _seconds: float) -> None:
        self._record_call("abort_transaction")

    def flush(self, seconds: float) -> int:
        self._record_call("flush")
        self.longest_flush_timeout = max(self.longest_flush_timeout, seconds)
        if not self.scenario.undelivered_count:
            pending_deliveries, self.deliveries = self.deliveries, []
            for number, report_delivery in pending_deliveries:
                stored_record = StoredRecord(b"", self.scenario.offset_of(number))
                report_delivery(self.scenario.delivery_error, cast("Message", stored_record))
        return self.scenario.undelivered_count

    def poll(self, _seconds: float) -> int:
        self.scenario.now += 0.05
        return 0

    def purge(self) -> None:
        self.scenario.calls.append("purge")


class ClientScenario:
    """Controls the clock and the errors of fake producers and records their calls.

    Each recorded call advances the clock by 0.5 s.
    """

    def __init__(
        self,
        *,
        repeat_last_error: bool = False,
        hanging_calls: set[str] | None = None,
        transaction_seconds: float = 10.0,
        **errors_by_call: list[Exception | None],
    ) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self.producers: list[FakeProducer] = []
        self.errors_by_call = {name: deque(errors) for name, errors in errors_by_call.items()}
        self.repeat_last_error = repeat_last_error
        """If True, every further call raises the last error of its list."""
        self.hanging_calls = hanging_calls or set()
        """Names of calls that block until the name is removed from this set."""
        self.transaction_seconds = transaction_seconds
        self.undelivered_count = 0
        self.delivery_error: KafkaError | None = None
        self.commits: list[list[TopicPartition]] = []
        self.offset_of: Callable[[int], int] = lambda number: 100 + number
        """Returns the offset that the broker assigns to the message with the given number."""

    def new_producer(self) -> Producer:
        self.producers.append(FakeProducer(self))
        return cast("Producer", self.producers[-1])

    def transactional_outbox(self, *, grace_seconds: float = 60.0) -> TransactionalOutbox:
        return TransactionalOutbox(
            self.new_producer,
            transactional_id="writer",
            start_seconds=10,
            transaction_seconds=self.transaction_seconds,
            state_topic=STATE_TOPIC,
            chunk_bytes=4,
            grace_seconds=grace_seconds,
            clock=lambda: self.now,
        )

    def flushing_outbox(
        self,
        commit_error: KafkaException | None = None,
        commit_result: Sequence[TopicPartition] | None = None,
    ) -> FlushingOutbox:
        def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
            self.calls.append("commit")
            commit_errors = self.errors_by_call.get("commit")
            if commit_errors:
                raise commit_errors.popleft() or AssertionError
            if commit_error is not None:
                raise commit_error
            self.commits.append(offsets)
            return None if commit_result is None else list(commit_result)

        return FlushingOutbox(
            self.new_producer(),
            commit,
            deadline_seconds=10,
            state_topic=STATE_TOPIC,
            chunk_bytes=4,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def errors_of_call(call: str, *errors: Exception | None) -> dict[str, Any]:
    """Return keyword arguments for a ClientScenario in which `call` raises these errors."""
    return {call: list(errors)}


def fixed_commit_plan(_manifest_offsets: Mapping[Partition, int]) -> CommitPlan:
    """Return the same commit plan for all snapshots."""
    return CommitPlan([], COMMITS)


def publish(outbox: TransactionalOutbox | FlushingOutbox) -> None:
    outbox.publish(iter(MESSAGES), fixed_commit_plan, b"membership")
