"""Reads the records of the ledger topic."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer

from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.ledger_text import LedgerRecord, ledger_record
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import SHORT_RETRY, read_topic, topic_partitions

_log = logging.getLogger("sensorwatch.ledger")


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """The past commits of a group, as recorded in the ledger."""

    partitions: frozenset[Partition]
    """The input partitions for which the group has committed offsets."""
    first_commit_ms: int | None
    """Time of the group's first commit, in milliseconds since 1970 UTC; None without a commit."""


def read_ledger(kafka: Mapping[str, Any], topic: str, *, group: str) -> list[LedgerRecord]:
    """Return the ledger records of a group, in commit order within each partition.

    Records of an older version are left out, because this program cannot repeat their scores. A
    missing topic counts as an empty ledger. Raises BrokerUnavailable.
    """
    records = [record for record, _ in _records_with_times(kafka, topic, group, SHORT_RETRY)]
    current_records = [record for record in records if not record.is_outdated]
    if len(current_records) < len(records):
        _log.warning(
            "%d records of %s are ignored, because an older sensorwatch wrote them",
            len(records) - len(current_records),
            topic,
        )
    return current_records


def group_history(
    kafka: Mapping[str, Any], topic: str, *, group: str, retry: RetryPolicy = SHORT_RETRY
) -> GroupHistory:
    """Return a group's committed partitions and the time of its first commit.

    Records of older versions count too, because their partitions were scored.

    Raises BrokerUnavailable if the broker still does not answer after `retry`.
    """
    records_with_times = list(_records_with_times(kafka, topic, group, retry))
    return GroupHistory(
        frozenset(record.source for record, _ in records_with_times),
        min((written_ms for _, written_ms in records_with_times), default=None),
    )


def _records_with_times(
    kafka: Mapping[str, Any], topic: str, group: str, retry: RetryPolicy
) -> Iterator[tuple[LedgerRecord, int]]:
    """Yield the group's ledger records, each with the time when it was written, in milliseconds.

    Logs a warning for each record that is not a ledger record, and ignores it.
    """
    metadata_client = Consumer(
        reader_config(kafka, group=f"{group}.reader"), logger=silent_logger()
    )
    try:
        if not topic_partitions(metadata_client, topic, retry=retry):
            return
    finally:
        metadata_client.close()
    for message in read_topic(kafka, topic, retry=retry):
        try:
            record = ledger_record(message.value())
        except ValueError as error:
            _log.warning(
                "the record at %s[%d]@%d is ignored, because it is not a ledger record: %s",
                topic,
                message.partition(),
                message.offset(),
                error,
            )
            continue
        if record.group == group:
            yield record, message.timestamp()[1]


def group_by_partition(records: list[LedgerRecord]) -> dict[Partition, list[LedgerRecord]]:
    """Group ledger records by input partition; the order within a partition is kept."""
    records_by_partition: dict[Partition, list[LedgerRecord]] = {}
    for record in records:
        records_by_partition.setdefault(record.source, []).append(record)
    return dict(sorted(records_by_partition.items()))
