"""A fake producer that fails by a script, with a clock, for the tests of the outboxes."""

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
STATE = "g.state"
SUCCESSFUL_CALLS = [
    "begin_transaction",
    *["produce"] * 3,
    "send_offsets_to_transaction",
    "commit_transaction",
]


def failure(code: int, *, retriable: bool = False, requires_abort: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "made by a test", False, retriable, requires_abort))


TIMED_OUT = failure(KafkaError._TIMED_OUT, retriable=True)


class FakeProducer:
    """Raises the errors in `scenario.failing[call]`, one per call."""

    def __init__(self, scenario: "ClientScenario") -> None:
        self.scenario = scenario
        self.offsets: list[TopicPartition] = []
        self.longest_flush = 0.0
        self.longest_send_offsets = 0.0
        self.produced: list[tuple[Any, ...]] = []
        self.partitions: list[int] = []
        self.deliveries: list[tuple[int, Callable[[KafkaError | None, Message], None]]] = []

    def _call(self, name: str) -> None:
        self.scenario.calls.append(name)
        while name in self.scenario.hanging:
            sleep(0.01)
        self.scenario.now += 0.5
        script = self.scenario.failing.get(name)
        if script:
            error = (
                script.popleft() if len(script) > 1 or not self.scenario.repeat_last else script[0]
            )
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
        partition: int,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None] | None,
        headers: list[tuple[str, bytes]],
    ) -> None:
        self._call("produce")
        self.produced.append((topic, key, value, headers))
        self.partitions.append(partition)
        if on_delivery is not None:
            self.deliveries.append((len(self.produced) - 1, on_delivery))

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], membership: object, seconds: float
    ) -> None:
        self.longest_send_offsets = max(self.longest_send_offsets, seconds)
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
        if not self.scenario.undelivered:
            waiting, self.deliveries = self.deliveries, []
            for number, delivered in waiting:
                stored = StoredRecord(b"", self.scenario.offset_of(number))
                delivered(self.scenario.delivery_error, cast("Message", stored))
        return self.scenario.undelivered

    def poll(self, _seconds: float) -> int:
        self.scenario.now += 0.05
        return 0

    def purge(self) -> None:
        self.scenario.calls.append("purge")


class ClientScenario:
    """The clock, the errors and the calls of a test; each call into the client takes 0.5 s."""

    def __init__(
        self,
        *,
        repeat_last: bool = False,
        hanging: set[str] | None = None,
        transaction_seconds: float = 10.0,
        **failing: list[Exception | None],
    ) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self.producers: list[FakeProducer] = []
        self.failing = {name: deque(errors) for name, errors in failing.items()}
        self.repeat_last = repeat_last
        """Whether the last error of each call is repeated."""
        self.hanging = hanging or set()
        """Calls that block until they are removed from this set."""
        self.transaction_seconds = transaction_seconds
        self.undelivered = 0
        self.delivery_error: KafkaError | None = None
        self.commits: list[list[TopicPartition]] = []
        self.offset_of: Callable[[int], int] = lambda number: 100 + number
        """Returns the offset of the message with this number."""

    def new_producer(self) -> Producer:
        self.producers.append(FakeProducer(self))
        return cast("Producer", self.producers[-1])

    def transactional(self, *, grace_seconds: float = 60.0) -> TransactionalOutbox:
        return TransactionalOutbox(
            self.new_producer,
            transactional_id="writer",
            start_seconds=10,
            transaction_seconds=self.transaction_seconds,
            state_topic=STATE,
            chunk_bytes=4,
            grace_seconds=grace_seconds,
            clock=lambda: self.now,
        )

    def flushing(
        self,
        commit_error: KafkaException | None = None,
        answer: Sequence[TopicPartition] | None = None,
    ) -> FlushingOutbox:
        def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
            self.calls.append("commit")
            script = self.failing.get("commit")
            if script:
                raise script.popleft() or AssertionError
            if commit_error is not None:
                raise commit_error
            self.commits.append(offsets)
            return None if answer is None else list(answer)

        return FlushingOutbox(
            self.new_producer(),
            commit,
            deadline_seconds=10,
            state_topic=STATE,
            chunk_bytes=4,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def failing_call(call: str, *errors: Exception | None) -> dict[str, Any]:
    """Return keyword arguments of ClientScenario for a call whose name is a parameter."""
    return {call: list(errors)}


def fixed_commit_plan(_manifests: Mapping[Partition, int]) -> CommitPlan:
    """Return a plan that ignores the snapshots."""
    return CommitPlan([], COMMITS)


def publish(outbox: TransactionalOutbox | FlushingOutbox) -> None:
    outbox.publish(iter(MESSAGES), fixed_commit_plan, b"membership")
