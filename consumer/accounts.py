"""The accounts of the assigned partitions, read from the metadata of the committed offsets."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.ledger_topic import GroupHistory
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.snapshot_text import raise_state_refused
from sensorwatch.common.kafka.topic_reader import ask_leader
from sensorwatch.common.ledger.account import Account, open_account, resize_window
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_choices import StartPosition
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule

CALL_TIMEOUT_SECONDS = 5.0
"""Timeout of one request to the broker."""

_log = logger("consumer")

T = TypeVar("T")


class Accounts:
    """The account of each assigned partition.

    An account is loaded when its partition is assigned, replaced after a commit, and removed when
    the partition is revoked.
    """

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
        silence_rule: SilenceRule = NO_SILENCE_CHECK,
    ) -> None:
        """Create an empty set of accounts.

        `history` reads the group's history from the ledger; it is called only if a partition has no
        committed offset. `retry` applies to each request to the broker. The retries must
        continue for longer than the open transaction of a dead worker, because committed offsets
        are not stable before that transaction ends.
        """
        self._consumer = consumer
        self._start = start
        self._window_rows = window_rows
        self._fingerprint = fingerprint
        self._history = history
        self._max_sensors = max_sensors
        self._silence_rule = silence_rule
        self._retry = retry
        self._by_partition: dict[Partition, Account] = {}
        self._unopened: set[Partition] = set()

    @property
    def by_partition(self) -> Mapping[Partition, Account]:
        """The account of each partition at the last commit."""
        return self._by_partition

    @property
    def unopened_partitions(self) -> frozenset[Partition]:
        """The partitions whose account was never committed."""
        return frozenset(self._unopened)

    def load(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of newly assigned partitions; return their next offsets.

        Raises OffsetsLost or StateRefused if a person must decide where to start, and
        BrokerUnavailable if the committed offsets cannot be read.
        """
        new_partitions = []
        for partition, topic_partition in self._committed_offsets(partitions).items():
            if topic_partition.offset >= 0:
                self._by_partition[partition] = self._load_account(
                    partition, topic_partition.offset, topic_partition.metadata
                )
            else:
                new_partitions.append(partition)
        if new_partitions:
            history = self._history()
            for partition in new_partitions:
                offset = self._start_offset(partition, history)
                self._by_partition[partition] = self._open_account(partition, offset)
        return {partition: self._by_partition[partition].next_offset for partition in partitions}

    def forget(self, partitions: Sequence[Partition]) -> None:
        """Remove the accounts of partitions that are no longer assigned to this worker."""
        for partition in partitions:
            self._by_partition.pop(partition, None)
            self._unopened.discard(partition)

    def reload(self) -> dict[Partition, int]:
        """Read the accounts of all assigned partitions again; return their next offsets."""
        committed_offsets = self._committed_offsets(list(self._by_partition))
        for partition, topic_partition in committed_offsets.items():
            if topic_partition.offset >= 0:
                self._unopened.discard(partition)
                self._by_partition[partition] = self._load_account(
                    partition, topic_partition.offset, topic_partition.metadata
                )
            elif partition not in self._unopened:
                raise OffsetsLost(_lost_offsets_text(partition))
        return {partition: account.next_offset for partition, account in self._by_partition.items()}

    def advance(self, accounts: Mapping[Partition, Account]) -> None:
        """Store the accounts that were just committed."""
        self._by_partition.update(accounts)
        self._unopened.difference_update(accounts)

    def _committed_offsets(
        self, partitions: Sequence[Partition]
    ) -> dict[Partition, TopicPartition]:
        topic_partitions = [
            TopicPartition(partition.topic, partition.number) for partition in partitions
        ]

        def request() -> Sequence[TopicPartition]:
            return _require_no_errors(
                self._consumer.committed(topic_partitions, CALL_TIMEOUT_SECONDS)
            )

        try:
            answer = self._retry.ask(request)
        except KafkaException as error:
            raise BrokerUnavailable(
                f"the committed offsets cannot be read: {error.args[0].str()}"
            ) from error
        return {
            Partition(topic_partition.topic, topic_partition.partition): topic_partition
            for topic_partition in answer
        }

    def _load_account(self, partition: Partition, offset: int, metadata: str | None) -> Account:
        account = from_metadata(metadata, offset)
        if account is None:
            raise_state_refused(
                f"the committed offset {offset} of {partition} has no account for this offset: it "
                "was changed by another program, and there is no memory for it"
            )
        if account.fingerprint != self._fingerprint:
            _log.warning(
                "a new digest segment begins: code, libraries or CPU kind have changed",
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
            silence_rule=self._silence_rule,
        )

    def _start_offset(self, partition: Partition, history: GroupHistory) -> int:
        if partition in history.partitions:
            raise OffsetsLost(_lost_offsets_text(partition))
        if self._start is StartPosition.ERROR:
            raise OffsetsLost(
                f'there is no committed offset for {partition}, and [consumer] start is "error". '
                "Set the offset with kafka-consumer-groups --reset-offsets and start a new account "
                'there with `sensorwatch state reset`, or set start to "earliest" or "latest"'
            )
        topic_partition = TopicPartition(partition.topic, partition.number)
        first_offset, end_offset = self._ask_leader(
            partition,
            lambda: self._consumer.get_watermark_offsets(topic_partition, CALL_TIMEOUT_SECONDS),
        )
        if self._start is StartPosition.EARLIEST:
            return first_offset
        if history.first_commit_ms is None:
            return end_offset
        # If a partition was added after the group's first commit, start = "latest" skips only the
        # records that are older than this commit.
        time_query = TopicPartition(partition.topic, partition.number, history.first_commit_ms)
        (first_record_position,) = self._ask_leader(
            partition,
            lambda: _require_no_errors(
                self._consumer.offsets_for_times([time_query], CALL_TIMEOUT_SECONDS)
            ),
        )
        return first_record_position.offset if first_record_position.offset >= 0 else end_offset

    def _ask_leader(self, partition: Partition, request: Callable[[], T]) -> T:
        try:
            return ask_leader(self._consumer, partition.topic, request, retry=self._retry)
        except KafkaException as error:
            raise BrokerUnavailable(
                f"the offsets of {partition} cannot be read: {error.args[0].str()}"
            ) from error


def _lost_offsets_text(partition: Partition) -> str:
    return (
        f"the ledger says that this group has scored {partition}, but there is no committed offset "
        "for it (did it expire, or was it deleted?). No record was processed again. Look at the "
        "last account with `sensorwatch ledger show`. Then commit its offset with `sensorwatch "
        "ledger restore`, which scores later records again, or use a new [consumer] group"
    )


def _require_no_errors(answer: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
    """Return `answer` if none of its partitions has an error, else raise the first error.

    Without this check, an error would look like a partition without a committed offset.
    """
    for topic_partition in answer:
        if topic_partition.error is not None:
            raise KafkaException(topic_partition.error)
    return answer
