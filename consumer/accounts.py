"""The accounts of the partitions that are ours, as the committed offsets tell them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.ledger_topic import GroupHistory
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.snapshot_text import raise_state_refused
from sensorwatch.common.ledger.account import Account, open_account, resize_window
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_keys import StartPosition
from sensorwatch.common.scoring.memory import MAX_SENSORS

CALL_TIMEOUT_SECONDS = 5.0
"""The longest that one question to the broker waits for its answer."""

_log = logger("consumer")

Answer = TypeVar("Answer")


class Accounts:
    """Loaded on assignment, replaced after each commit, forgotten on revocation."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        start: StartPosition,
        window_rows: int,
        fingerprint: str,
        history: Callable[[], GroupHistory],
        retry: RetryPolicy,
        max_sensors: int = MAX_SENSORS,
    ) -> None:
        """`history`: asks the ledger what the group has done before, where that matters.

        `retry`: for each question to the broker. It has to last longer than the transaction of a
        dead worker, whose offsets are not stable before it has ended.
        """
        self._consumer = consumer
        self._start = start
        self._window_rows = window_rows
        self._fingerprint = fingerprint
        self._history = history
        self._max_sensors = max_sensors
        self._retry = retry
        self._by_partition: dict[Partition, Account] = {}
        self._unopened: set[Partition] = set()

    @property
    def by_partition(self) -> Mapping[Partition, Account]:
        """The accounts as of the last commit."""
        return self._by_partition

    @property
    def unopened(self) -> frozenset[Partition]:
        """Partitions whose account nobody has committed yet."""
        return frozenset(self._unopened)

    def assigned(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of these partitions; return each one's next offset.

        Raises OffsetsLost or StateRefused where a person has to decide, BrokerUnavailable where the
        committed offsets cannot be read.
        """
        new = []
        for partition, topic_partition in self._committed(partitions).items():
            if topic_partition.offset >= 0:
                self._by_partition[partition] = self._load_account(
                    partition, topic_partition.offset, topic_partition.metadata
                )
            else:
                new.append(partition)
        if new:
            history = self._history()
            for partition in new:
                offset = self._first_offset(partition, history)
                self._by_partition[partition] = self._open_account(partition, offset)
        return {partition: self._by_partition[partition].next_offset for partition in partitions}

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget partitions that are ours no more."""
        for partition in partitions:
            self._by_partition.pop(partition, None)
            self._unopened.discard(partition)

    def reload(self) -> dict[Partition, int]:
        """Read the accounts of all our partitions again; return each one's next offset."""
        for partition, topic_partition in self._committed(list(self._by_partition)).items():
            if topic_partition.offset >= 0:
                self._unopened.discard(partition)
                self._by_partition[partition] = self._load_account(
                    partition, topic_partition.offset, topic_partition.metadata
                )
            elif partition not in self._unopened:
                raise OffsetsLost(_lost_offsets_text(partition))
        return {partition: account.next_offset for partition, account in self._by_partition.items()}

    def committed(self, accounts: Mapping[Partition, Account]) -> None:
        """Take over the accounts that were just committed."""
        self._by_partition.update(accounts)
        self._unopened.difference_update(accounts)

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, TopicPartition]:
        requested = [TopicPartition(partition.topic, partition.number) for partition in partitions]

        def request() -> Sequence[TopicPartition]:
            return _without_errors(self._consumer.committed(requested, CALL_TIMEOUT_SECONDS))

        found = self._ask(request, "the committed offsets cannot be read")
        return {
            Partition(topic_partition.topic, topic_partition.partition): topic_partition
            for topic_partition in found
        }

    def _load_account(self, partition: Partition, offset: int, metadata: str | None) -> Account:
        account = from_metadata(metadata, offset)
        if account is None:
            raise_state_refused(
                f"the committed offset {offset} of {partition} carries no account of its own: it "
                "was moved from outside, and no memory stands there"
            )
        if account.fingerprint != self._fingerprint:
            _log.warning(
                "a new digest segment begins: other code, libraries or CPU kind",
                partition=str(partition),
                offset=offset,
                before=account.fingerprint,
                now=self._fingerprint,
            )
        return resize_window(account, self._window_rows)

    def _open_account(self, partition: Partition, offset: int) -> Account:
        self._unopened.add(partition)
        return open_account(
            offset,
            model_version="",
            fingerprint=self._fingerprint,
            window_rows=self._window_rows,
            max_sensors=self._max_sensors,
        )

    def _first_offset(self, partition: Partition, history: GroupHistory) -> int:
        if partition in history.partitions:
            raise OffsetsLost(_lost_offsets_text(partition))
        if self._start is StartPosition.ERROR:
            raise OffsetsLost(
                f'no committed offset for {partition}, and [consumer] start = "error": set the '
                "offset with kafka-consumer-groups --reset-offsets and begin there with "
                '`sensorwatch state reset`, or set start = "earliest" or "latest"'
            )
        failure = f"the offsets of {partition} cannot be read"
        topic_partition = TopicPartition(partition.topic, partition.number)
        low, high = self._ask(
            lambda: self._consumer.get_watermark_offsets(topic_partition, CALL_TIMEOUT_SECONDS),
            failure,
        )
        if self._start is StartPosition.EARLIEST:
            return low
        if history.first_commit_ms is None:
            return high
        # Added since the group began: what came to it since then is not old, and is not skipped.
        query = TopicPartition(partition.topic, partition.number, history.first_commit_ms)
        (found,) = self._ask(
            lambda: _without_errors(
                self._consumer.offsets_for_times([query], CALL_TIMEOUT_SECONDS)
            ),
            failure,
        )
        return found.offset if found.offset >= 0 else high

    def _ask(self, request: Callable[[], Answer], failure: str) -> Answer:
        try:
            return self._retry.ask(request)
        except KafkaException as error:
            raise BrokerUnavailable(f"{failure}: {error.args[0].str()}") from error


def _lost_offsets_text(partition: Partition) -> str:
    return (
        f"the group has scored {partition} before (its ledger says so) but has no committed offset "
        "for it any more (expired, deleted?). Nothing was reprocessed. See where it stood with "
        "`sensorwatch ledger show`, then either commit that offset with `sensorwatch ledger "
        "restore` (records scored after it are scored again) or use a new [consumer] group"
    )


def _without_errors(answer: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
    """Raise the error of a partition, which must not be taken for "there is no offset"."""
    for topic_partition in answer:
        if topic_partition.error is not None:
            raise KafkaException(topic_partition.error)
    return answer
