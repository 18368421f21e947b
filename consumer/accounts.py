"""The accounts of the partitions that are ours, as the committed offsets tell them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from common.detection.ledger import Account, open_account, with_window
from common.detection.memory import MAX_SENSORS
from common.errors import BrokerUnavailable, OffsetsLost
from common.messaging.ledger_text import from_metadata
from common.messaging.ledger_topic import GroupHistory
from common.messaging.records import Partition
from common.messaging.retrying import RetryPolicy
from common.messaging.snapshot_text import refuse
from common.runtime.keys import Start
from common.runtime.logs import logger

CALL_SECONDS = 5.0
"""The longest that one question to the broker waits for its answer."""

_log = logger("consumer")

Answer = TypeVar("Answer")


class Accounts:
    """Loaded on assignment, replaced after each commit, forgotten on revocation."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        start: Start,
        window_rows: int,
        fingerprint: str,
        history: Callable[[], GroupHistory],
        retry: RetryPolicy,
        max_sensors: int = MAX_SENSORS,
    ) -> None:
        """`history`: asks the ledger what the group has done before, where that matters.

        `retry`: for each question to the broker. It has to last longer than the transaction of a
        dead worker, whose offsets are not stable before that has ended.
        """
        self._consumer = consumer
        self._start = start
        self._window_rows = window_rows
        self._fingerprint = fingerprint
        self._history = history
        self._retry = retry
        self._max_sensors = max_sensors
        self._held: dict[Partition, Account] = {}
        self._unopened: set[Partition] = set()

    @property
    def held(self) -> Mapping[Partition, Account]:
        """The accounts as of the last commit."""
        return self._held

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
        for partition, where in self._committed(partitions).items():
            if where.offset >= 0:
                self._held[partition] = self._known(partition, where.offset, where.metadata)
            else:
                new.append(partition)
        if new:
            history = self._history()
            for partition in new:
                offset = self._first_offset(partition, history)
                self._held[partition] = self._open(partition, offset)
        return {partition: self._held[partition].next_offset for partition in partitions}

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget partitions that are ours no more."""
        for partition in partitions:
            self._held.pop(partition, None)
            self._unopened.discard(partition)

    def reload(self) -> dict[Partition, int]:
        """Read the accounts of all our partitions again; return each one's next offset."""
        for partition, where in self._committed(list(self._held)).items():
            if where.offset >= 0:
                self._unopened.discard(partition)
                self._held[partition] = self._known(partition, where.offset, where.metadata)
            elif partition not in self._unopened:
                raise OffsetsLost(_lost(partition))
        return {partition: account.next_offset for partition, account in self._held.items()}

    def committed(self, accounts: Mapping[Partition, Account]) -> None:
        """Take over the accounts that were just committed."""
        self._held.update(accounts)
        self._unopened.difference_update(accounts)

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, TopicPartition]:
        asked = [TopicPartition(partition.topic, partition.number) for partition in partitions]

        def ask() -> Sequence[TopicPartition]:
            return _without_errors(self._consumer.committed(asked, CALL_SECONDS))

        found = self._ask(ask, "the committed offsets cannot be read")
        return {Partition(where.topic, where.partition): where for where in found}

    def _known(self, partition: Partition, offset: int, metadata: str | None) -> Account:
        account = from_metadata(metadata, offset)
        if account is None:
            refuse(
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
        return with_window(account, self._window_rows)

    def _open(self, partition: Partition, offset: int) -> Account:
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
            raise OffsetsLost(_lost(partition))
        if self._start is Start.ERROR:
            raise OffsetsLost(
                f'no committed offset for {partition}, and [consumer] start = "error": set the '
                "offset with kafka-consumer-groups --reset-offsets and begin there with "
                '`sensorwatch state reset`, or set start = "earliest" or "latest"'
            )
        failure = f"the offsets of {partition} cannot be read"
        where = TopicPartition(partition.topic, partition.number)
        low, high = self._ask(
            lambda: self._consumer.get_watermark_offsets(where, CALL_SECONDS), failure
        )
        if self._start is Start.EARLIEST:
            return low
        if history.since is None:
            return high
        # Added since the group began: what came to it since then is not old, and is not skipped.
        began = TopicPartition(partition.topic, partition.number, history.since)
        (found,) = self._ask(
            lambda: _without_errors(self._consumer.offsets_for_times([began], CALL_SECONDS)),
            failure,
        )
        return found.offset if found.offset >= 0 else high

    def _ask(self, question: Callable[[], Answer], failure: str) -> Answer:
        try:
            return self._retry.ask(question)
        except KafkaException as error:
            raise BrokerUnavailable(f"{failure}: {error.args[0].str()}") from error


def _lost(partition: Partition) -> str:
    return (
        f"the group has scored {partition} before (its ledger says so) but has no committed offset "
        "for it any more (expired, deleted?). Nothing was reprocessed. See where it stood with "
        "`sensorwatch ledger show`, then either commit that offset with `sensorwatch ledger "
        "restore` (records scored after it are scored again) or use a new [consumer] group"
    )


def _without_errors(answer: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
    """Raise the error of one partition, which must not be taken for "there is no offset"."""
    for where in answer:
        if where.error is not None:
            raise KafkaException(where.error)
    return answer
