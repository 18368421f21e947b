"""The compacted topic of verdicts: the newest verdict on each episode, by the episode's id."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.kafka.topics import (
    compacted_topic_plan,
    ensure_topic,
    existing_topics,
)
from sensorwatch.common.verdicts.verdict import VerdictRecord, read_verdict

SEND_SECONDS = 15.0
"""Longest wait until the broker has stored a verdict."""


def read_verdicts(kafka: Mapping[str, Any], topic: str) -> dict[str, VerdictRecord]:
    """Return the newest verdict on each episode, without those that were undone.

    Without the topic there are no verdicts. Raises BrokerUnavailable if no broker answers.
    """
    records = read_newest_records(kafka, topic)
    return {key: record for key, record in records.items() if record.counts}


def read_newest_records(kafka: Mapping[str, Any], topic: str) -> dict[str, VerdictRecord]:
    """Return the newest record of each episode; raises as `read_verdicts`."""
    if not existing_topics(kafka, [topic]):
        return {}
    records: dict[str, VerdictRecord] = {}
    for message in read_topic(kafka, topic):
        record = read_verdict(message.value() or b"")
        if record is not None:
            records[record.episode_id] = record
    return records


class VerdictWriter:
    """Writes verdicts to the topic; creates the topic if it is missing."""

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        """Raises BrokerUnavailable if no broker answers, UsageError if it refuses the topic."""
        self._topic = topic
        self._producer = Producer(producer_config(kafka), logger=silent_logger())
        ensure_topic(kafka, compacted_topic_plan(topic), self._producer)

    def write(self, record: VerdictRecord) -> None:
        """Write a verdict, and wait until the broker has stored it.

        Raises BrokerUnavailable if the broker does not confirm it.
        """
        errors: list[str] = ["the broker did not confirm it in time"]

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            errors[:] = [] if error is None else [error.str()]

        try:
            self._producer.produce(
                self._topic,
                record.to_bytes(),
                record.episode_id.encode(),
                0,
                on_delivery=on_delivery,
            )
            self._producer.flush(SEND_SECONDS)
        except (BufferError, KafkaException) as error:
            errors[:] = [str(error)]
        if errors:
            raise BrokerUnavailable(
                f'the verdict is in the audit log and in the policy, but not in the topic "'
                f'{self._topic}": {errors[0]}. Give the verdict again'
            )

    def close(self) -> None:
        """Close the client."""
        self._producer.close()
