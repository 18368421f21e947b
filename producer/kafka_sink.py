"""Records to a Kafka topic, through an idempotent producer that counts what arrived."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sensorwatch.common.errors import BrokerUnavailable, SettingsError
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.topics import require_topics
from sensorwatch.producer.simulated_records import Record
from sensorwatch.producer.sink import DeliveryCounts

LABEL_HEADER = "sensorwatch-label"
FLUSH_SECONDS = 30.0
_POLL_SECONDS = 0.1

Headers = list[tuple[str, str | bytes | None]]


def connect_sink(
    kafka: Mapping[str, Any], topic: str, *, stopping: Callable[[], bool], **client: Any
) -> "KafkaSink":
    """Check that the topic can be reached and return a sink to it.

    `client`: passed on to the client, such as `logger`.
    Raises BrokerUnavailable naming the address or the topic, SettingsError for a key in `kafka`
    that sensorwatch needs at another value or that librdkafka refuses.
    """
    config = producer_config(kafka)
    require_topics(kafka, [topic])
    try:
        producer = Producer(config, **client)
    except KafkaException as error:
        raise SettingsError(f"[kafka] is refused by librdkafka: {error.args[0].str()}") from error
    return KafkaSink(producer, topic, stopping=stopping)


class KafkaSink:
    """Sends records with their key and, in a header, their label."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        *,
        stopping: Callable[[], bool],
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._stopping = stopping
        self._flush_seconds = flush_seconds
        self._delivered = 0
        self._failed = 0
        self._first_error = ""

    def send(self, records: Sequence[Record]) -> None:
        """Queue records, waiting where the queue is full, until told to stop.

        The record's timestamp is the time of sending: event times of long ago would fall to
        retention, those ahead of the broker's clock are refused.
        Raises BrokerUnavailable when the client cannot go on.
        """
        for record in records:
            while not self._try_produce(record):
                if self._stopping():
                    return
                self._producer.poll(_POLL_SECONDS)
        self._producer.poll(0)

    def close(self) -> DeliveryCounts:
        """Wait until everything arrived, at most `flush_seconds`; what has not then, failed."""
        deadline = time.monotonic() + self._flush_seconds
        while undelivered := self._producer.flush(_POLL_SECONDS):
            if time.monotonic() >= deadline:
                self._purge_undelivered(undelivered)
                break
        return DeliveryCounts(self._delivered, self._failed, self._first_error)

    def _try_produce(self, record: Record) -> bool:
        headers: Headers | None = [(LABEL_HEADER, record.label)] if record.label else None
        try:
            self._producer.produce(
                self._topic,
                value=record.value,
                key=record.key,
                headers=headers,
                on_delivery=self._on_delivery,
            )
        except BufferError:
            return False
        except KafkaException as error:
            cause = error.args[0]
            if cause.fatal():
                raise BrokerUnavailable(
                    f'the producer to topic "{self._topic}" cannot go on: {cause.str()}; start it '
                    "again"
                ) from error
            self._on_delivery(cause, None)  # one record's own fault, such as its size
        return True

    def _on_delivery(self, error: KafkaError | None, _message: Message | None) -> None:
        if error is None:
            self._delivered += 1
            return
        self._failed += 1
        self._first_error = self._first_error or str(error.str())

    def _purge_undelivered(self, undelivered: int) -> None:
        self._first_error = (
            self._first_error or f"{undelivered} unanswered after {self._flush_seconds:g} s"
        )
        # Reports each one as failed, and lets the process end although a broker is gone.
        self._producer.purge()
        self._producer.flush(1.0)
