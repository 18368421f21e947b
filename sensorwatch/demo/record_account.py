"""The account of the demo: a comparison of independent counts of the records of a run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.ledger.account import Account
from sensorwatch.demo.embedded_broker import PARTITIONS
from sensorwatch.demo.services import Services
from sensorwatch.demo.topic_watcher import TopicWatcher
from sensorwatch.producer.sink import DeliveryCounts

DRAIN_SECONDS = 30.0
READ_SECONDS = 10.0
_CALL_SECONDS = 10.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Counts:
    """Record counts of one run, made independently by producer, broker, ledger and reader."""

    delivered: int
    """Records that the broker acknowledged to the demo's producer."""
    failed: int
    """Records that the producer could not deliver."""
    records_in: int
    """Records of all producers in the readings' topic, according to its end offsets."""
    accounts: Sequence[Account]
    """The account of each partition, from the committed offset's metadata."""
    events: int
    """Events of anomalous rows that were read from the anomaly topic.

    Events with the same id count once.
    """
    dead_letters: int
    """Dead letters that were read from their topic. Dead letters with the same id count once."""
    duplicates: int = 0
    """Events and dead letters with an id that was already read."""

    @property
    def normal(self) -> int:
        """Return the number of normal rows, which only the ledger counts."""
        return sum(account.normal for account in self.accounts)

    @property
    def absorbed(self) -> int:
        """Return the number of absorbed records, which only the ledger counts."""
        return sum(account.absorbed for account in self.accounts)

    @property
    def foreign_records(self) -> int:
        """Return the number of records that other producers sent to the topic."""
        return max(0, self.records_in - self.delivered)


def equation(counts: Counts) -> str:
    """Return the equation of the counts, with its numbers."""
    return (
        f"records in {counts.records_in} = normal {counts.normal} + anomalies {counts.events} "
        f"+ dead letters {counts.dead_letters} + absorbed {counts.absorbed}"
    )


def discrepancies(counts: Counts) -> list[str]:
    """Return a text for each failed check; [] if every record has exactly one outcome."""
    consumed = sum(account.consumed for account in counts.accounts)
    anomalies = sum(account.anomalies for account in counts.accounts)
    dead_letters = sum(account.dead_letters for account in counts.accounts)
    checks = (
        (
            all(account.adds_up for account in counts.accounts),
            "the ledger of one partition does not add up",
        ),
        (not counts.failed, f"{counts.failed} records were not delivered to the broker"),
        (
            counts.delivered <= counts.records_in,
            f"{counts.delivered} records delivered, but only {counts.records_in} in the topic",
        ),
        (
            consumed == counts.records_in,
            f"{counts.records_in} records in the topic, but {consumed} in the ledger",
        ),
        (
            anomalies == counts.events,
            f"{anomalies} anomalies in the ledger, but {counts.events} events read back",
        ),
        (
            dead_letters == counts.dead_letters,
            f"{dead_letters} dead letters in the ledger, but {counts.dead_letters} read back",
        ),
        (
            counts.records_in
            == counts.normal + counts.events + counts.dead_letters + counts.absorbed,
            f"{equation(counts)} is not true",
        ),
    )
    return [problem for passed, problem in checks if not passed]


def count_records(services: Services, delivery: DeliveryCounts, watcher: TopicWatcher) -> Counts:
    """Wait until the consumer has processed every record, stop the consumer, and count the records.

    Call this function after the row feed has stopped. If the consumer or the watcher does not reach
    the last record in time, the counts differ. Raises BrokerUnavailable if the broker does not
    answer.
    """
    end_offsets, committed_offsets = _drain(services)
    # Another producer may have sent records after the end offsets were read; the committed offsets
    # include these records.
    records_in = sum(
        max(offsets) for offsets in zip(end_offsets, _next_offsets(committed_offsets), strict=True)
    )
    accounts = _accounts(committed_offsets)
    events = sum(account.anomalies for account in accounts)
    dead_letters = sum(account.dead_letters for account in accounts)
    _wait_until(
        lambda: watcher.has(rows=records_in, events=events, dead_letters=dead_letters),
        seconds=READ_SECONDS,
        check=watcher.check,
    )
    watcher.stop()
    return Counts(
        delivered=delivery.delivered,
        failed=delivery.failed,
        records_in=records_in,
        accounts=accounts,
        events=len(watcher.observations.alarms),
        dead_letters=len(watcher.observations.dead_letters),
        duplicates=watcher.duplicates,
    )


def _drain(services: Services) -> tuple[list[int], list[TopicPartition]]:
    """Wait until the consumer has committed the end offsets, and stop the consumer.

    Return the end offsets and the committed offsets.
    """
    kafka, group = services.settings.kafka, services.settings.consumer.group
    topic = services.settings.topics.readings
    reader = Consumer(reader_config(kafka, group=group), logger=silent_logger())
    try:
        end_offsets = _end_offsets(reader, topic)
        _wait_until(
            lambda: _has_reached(_committed_offsets(reader, topic), end_offsets),
            seconds=DRAIN_SECONDS,
            check=services.consumer.check,
        )
        services.consumer.stop()
        return end_offsets, _committed_offsets(reader, topic)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"the committed offsets cannot be read: {error.args[0].str()}"
        ) from error
    finally:
        reader.close()


def _wait_until(
    condition: Callable[[], bool], *, seconds: float, check: Callable[[], object]
) -> None:
    """Wait until the condition is true, at most for `seconds`.

    `check` is called repeatedly, and may raise an error.
    """
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        check()
        time.sleep(_POLL_SECONDS)


def _end_offsets(reader: Consumer, topic: str) -> list[int]:
    """Return the end offset of each partition, which is the number of its records."""
    return [
        reader.get_watermark_offsets(TopicPartition(topic, partition_number), _CALL_SECONDS)[1]
        for partition_number in range(PARTITIONS)
    ]


def _committed_offsets(reader: Consumer, topic: str) -> list[TopicPartition]:
    partitions = [TopicPartition(topic, partition_number) for partition_number in range(PARTITIONS)]
    committed_offsets: list[TopicPartition] = reader.committed(partitions, _CALL_SECONDS)
    return committed_offsets


def _has_reached(committed_offsets: list[TopicPartition], end_offsets: list[int]) -> bool:
    return all(
        offset >= end_offset
        for offset, end_offset in zip(_next_offsets(committed_offsets), end_offsets, strict=True)
    )


def _next_offsets(committed_offsets: list[TopicPartition]) -> list[int]:
    return [max(0, entry.offset) for entry in committed_offsets]


def _accounts(committed_offsets: list[TopicPartition]) -> list[Account]:
    accounts = (from_metadata(entry.metadata, entry.offset) for entry in committed_offsets)
    return [account for account in accounts if account is not None]
