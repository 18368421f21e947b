"""Builds dead letters as the consumer writes them."""

from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer

from sensorwatch.common.kafka.dead_letters import dead_letters
from sensorwatch.common.kafka.records import OutgoingMessage, Record
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.rows.parsing import parse
from sensorwatch.consumer.publishing.outbox import produce
from sensorwatch.dlq.letters import DeadLetter, dead_letter_of
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_schema

FAILED_AT = "2025-02-03T04:05:06Z"


def letter_messages(
    records: Sequence[Record], *, topic: str = "sensors.dlq", limit: int = 1_000_000
) -> list[OutgoingMessage]:
    """Return the dead letters of the records that the schema rejects."""
    _, rejections = parse([record.value() for record in records], a_schema())
    return list(
        dead_letters(
            rejections,
            records,
            topic=topic,
            group="watchers",
            failed_at=FAILED_AT,
            max_message_bytes=limit,
        )
    )


def stored(message: OutgoingMessage, offset: int, *, partition: int = 0) -> StoredRecord:
    """Return a message as the record that a topic stores."""
    return StoredRecord(
        message.value,
        offset,
        partition if message.partition is None else message.partition,
        message.topic,
        message.key,
        list(message.headers),
    )


def a_letter(record: StoredRecord, *, offset: int = 0, limit: int = 1_000_000) -> DeadLetter:
    """Return the dead letter of a record that the schema rejects."""
    (message,) = letter_messages([record], limit=limit)
    return dead_letter_of(stored(message, offset))


def send(address: str, messages: Sequence[OutgoingMessage]) -> None:
    """Send messages to their topics."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 1}, logger=silent_logger())
    for message in messages:
        produce(producer, message)
    assert producer.flush(20) == 0
    producer.close()


def write_config(
    folder: Path, address: str, *, readings: str = "sensors", delivery: str = "exactly_once"
) -> Path:
    """Write a configuration with a broker and topics, and return its path."""
    path = folder / "sensorwatch.toml"
    path.write_text(
        f'[kafka]\n"bootstrap.servers" = "{address}"\n'
        f'[topics]\nreadings = "{readings}"\ndead_letters = "{readings}.dlq"\n'
        f'[consumer]\ndelivery = "{delivery}"\n',
        encoding="utf-8",
    )
    return path
