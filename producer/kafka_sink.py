"""The sink that sends records to a Kafka topic and counts deliveries."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sensorwatch.common.errors import BrokerUnavailable, SettingsError
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.topics import require_topics
from sensorwatch.producer.simulated_records import SimulatedRecord
from sensorwatch.producer.sink import DeliveryCounts

LABEL_HEADER = "sensorwatch-label"
FLUSH_SECONDS = 30.0
_POLL_SECONDS = 0.1

Headers = list[tuple[str, str | bytes | None]]


def connect_sink(
    kafka: Mapping[str, Any], topic: str, *, stopping: Callable[[], bool], **client_options: Any
) -> "KafkaSink":
    """Check that the topic can be reached, and return a sink that sends to the topic.

    `stopping`: returns True if the run must end. `client_options`: further arguments of the Kafka
    client, such as `logger`. Raises BrokerUnavailable if the broker or the topic cannot be reached.
    Raises SettingsError if sensorwatch or librdkafka refuses a key or value of `kafka`.
    """
    client_config = producer_config(kafka)
    require_topics(kafka, [topic])
    try:
        producer = Producer(client_config, **client_options)
    except KafkaException as error:
        raise SettingsError(f"librdkafka refuses [kafka]: {error.args[0].str()}") from error
    return KafkaSink(producer, topic, stopping=stopping)


class KafkaSink:
    """Sends records to a topic. The label of a record is in a header."""

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

    def send(self, records: Sequence[SimulatedRecord]) -> None:
        """Add records to the client's queue. If the queue is full, wait, unless the run must stop.

        The timestamp of a Kafka record is the time of sending, not the event time: retention would
        delete records with old timestamps, and brokers reject timestamps ahead of their clock.
        Raises BrokerUnavailable if the client reports a fatal error.
        """
        for record in records:
            while not self._try_produce(record):
                if self._stopping():
                    return
                self._producer.poll(_POLL_SECONDS)
        self._producer.poll(0)

    def close(self) -> DeliveryCounts:
        """Wait up to `flush_seconds` for deliveries, and count the delivered and failed records.

        Records that the broker has not confirmed within this time count as failed.
        """
        deadline = time.monotonic() + self._flush_seconds
        while undelivered := self._producer.flush(_POLL_SECONDS):
            if time.monotonic() >= deadline:
                self._purge_undelivered(undelivered)
                break
        return DeliveryCounts(self._delivered, self._failed, self._first_error)

    def _try_produce(self, record: SimulatedRecord) -> bool:
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
            kafka_error = error.args[0]
            if kafka_error.fatal():
                raise BrokerUnavailable(
                    f'the producer for topic "{self._topic}" has failed: {kafka_error.str()}; '
                    "start the producer again"
                ) from error
            self._on_delivery(kafka_error, None)  # only this record failed: it may be too large
        return True

    def _on_delivery(self, error: KafkaError | None, _message: Message | None) -> None:
        if error is None:
            self._delivered += 1
            return
        self._failed += 1
        self._first_error = self._first_error or str(error.str())

    def _purge_undelivered(self, undelivered: int) -> None:
        self._first_error = (
            self._first_error or f"{undelivered} not confirmed after {self._flush_seconds:g} s"
        )
        # `purge` drops the queued records and reports each as failed. The process can then end even
        # if the broker is unreachable.
        self._producer.purge()
        self._producer.flush(1.0)
