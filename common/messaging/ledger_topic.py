"""The ledger topic, read back."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer

from common.messaging.kafka_config import reader_config
from common.messaging.ledger_text import LedgerRecord, ledger_record
from common.messaging.quiet import quiet_logger
from common.messaging.reading import read_topic, topic_partitions
from common.messaging.records import Partition


def read_ledger(kafka: Mapping[str, Any], topic: str, *, group: str) -> list[LedgerRecord]:
    """Return the committed records of a group, in the order they were committed per partition.

    An absent topic is an empty ledger. Raises BrokerUnavailable.
    """
    asking = Consumer(reader_config(kafka, group=f"{group}.reader"), logger=quiet_logger())
    try:
        if not topic_partitions(asking, topic):
            return []
    finally:
        asking.close()
    records = [ledger_record(message.value()) for message in read_topic(kafka, topic)]
    return [record for record in records if record.group == group]


def by_partition(records: list[LedgerRecord]) -> dict[Partition, list[LedgerRecord]]:
    """Group records by the input partition they are of, in order."""
    grouped: dict[Partition, list[LedgerRecord]] = {}
    for record in records:
        grouped.setdefault(record.source, []).append(record)
    return dict(sorted(grouped.items()))
