"""The committed offsets and accounts of a consumer group."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, StateRefused
from sensorwatch.common.kafka.client_config import consumer_config
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topics import require_topics
from sensorwatch.common.ledger.account import Account

CALL_TIMEOUT_SECONDS = 30.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommittedAccount:
    """The committed offset of a partition, and the account that was committed with it."""

    offset: int
    account: Account | None
    """None if the offset was committed without an account that this program can read."""
    is_outdated: bool = False
    """Whether an older sensorwatch committed the offset, with an account that is not read."""


def committed_accounts(
    kafka: Mapping[str, Any], topic: str, *, group: str, timeout: float = 10.0
) -> dict[Partition, CommittedAccount]:
    """Return the committed offset and account of each partition that has one, sorted by partition.

    `timeout`: longest wait for the first answer of the broker, in seconds. The function does not
    join the group. Raises BrokerUnavailable if the topic does not exist or
    the broker does not answer.
    """
    partition_numbers = range(require_topics(kafka, [topic], timeout=timeout)[topic])
    consumer = Consumer(consumer_config(kafka, group=group), logger=silent_logger())
    try:
        partitions = [
            TopicPartition(topic, partition_number) for partition_number in partition_numbers
        ]
        committed_offsets = _ask_broker(
            lambda: consumer.committed(partitions, CALL_TIMEOUT_SECONDS)
        )
    finally:
        consumer.close()
    return {
        Partition(entry.topic, entry.partition): _committed_account(entry)
        for entry in sorted(committed_offsets, key=lambda entry: entry.partition)
        if entry.offset >= 0
    }


def _committed_account(entry: TopicPartition) -> CommittedAccount:
    try:
        return CommittedAccount(entry.offset, from_metadata(entry.metadata, entry.offset))
    except StateRefused:
        return CommittedAccount(entry.offset, None, is_outdated=True)


def _ask_broker(request: Callable[[], T]) -> T:
    try:
        return request()
    except KafkaException as error:
        raise BrokerUnavailable(f"no answer from the broker: {error.args[0].str()}") from error
