"""Readers of the output topics, for use during a run or after a run."""

import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Self

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from sensorwatch.common.kafka.records import Coordinates, Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from tests.brokers.child_processes import wait_until
from tests.checker.run_history import OutputRecord, ReaderOutput

_READ_SECONDS = 60
_NO_COORDINATES = Coordinates("(none)", -1, -1)


def partitions_of(address: str, topic: str) -> list[Partition]:
    """Return the partitions of a topic."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    retry_policy = RetryPolicy(_READ_SECONDS)
    metadata = retry_policy.ask(lambda: admin.list_topics(topic, timeout=10)).topics[topic]
    return [Partition(topic, number) for number in sorted(metadata.partitions)]


def end_offsets(
    address: str, partitions: Sequence[Partition], isolation: IsolationLevel
) -> dict[Partition, int]:
    """Return the end offset of each partition at this isolation level."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    latest_offset: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # no stub
    requests = {
        TopicPartition(partition.topic, partition.number): latest_offset for partition in partitions
    }
    offset_results = admin.list_offsets(requests, isolation_level=isolation, request_timeout=30)
    return {
        Partition(partition.topic, partition.partition): result.result().offset
        for partition, result in offset_results.items()
    }


def committed_ends(address: str, *topics: str) -> dict[Partition, int]:
    """Return the last stable offset of every partition of these topics."""
    partitions = [partition for topic in topics for partition in partitions_of(address, topic)]
    return end_offsets(address, partitions, IsolationLevel.READ_COMMITTED)


def read_committed(address: str, topic: str) -> list[Message]:
    """Return all committed records of a topic, in order within each partition."""
    ends = committed_ends(address, topic)
    with _assigned_consumer(address, ends) as consumer:
        reader = _MessageCollector(consumer)
        wait_until(
            lambda: reader.consume_and_compare(ends),
            deadline=_READ_SECONDS,
            what=f"the end of {topic}",
            every=0,
        )
    return reader.messages


def parse_event(message: Message) -> OutputRecord:
    """Parse a record of the anomaly topic; its headers `ce_type` and `ce_id` identify it."""
    headers = _headers(message)
    coordinates, key, value = _coordinates(message), message.key(), message.value()
    event_id = headers.get("ce_id", "")
    match headers.get("ce_type"):
        case "io.sensorwatch.anomaly.detected.v1":
            return OutputRecord(coordinates, _parse_coordinates(event_id), key, value)
        case "io.sensorwatch.episode.closed.v1" if event_id.endswith("-closed"):
            episode = _parse_coordinates(event_id.removesuffix("-closed"))
            return OutputRecord(coordinates, _source_of_event(value), key, value, episode=episode)
        case (
            "io.sensorwatch.episode.raised.v1"
            | "io.sensorwatch.episode.accepted.v1"
            | "io.sensorwatch.model.stale.v1"
            | "io.sensorwatch.sensor.silent.v1"
            | "io.sensorwatch.sensor.back.v1"
        ):
            return OutputRecord(coordinates, _source_of_event(value), key, value, notice=event_id)
    return OutputRecord(coordinates, _NO_COORDINATES, key, value)


def _source_of_event(value: bytes | None) -> Coordinates:
    """Return the input record to which the value of an event refers."""
    try:
        source = json.loads(value or b"")["source"]
        return Coordinates(source["topic"], source["partition"], source["offset"])
    except (ValueError, LookupError, TypeError):
        return _NO_COORDINATES


def parse_dead_letter(message: Message) -> OutputRecord:
    """Parse a record of the dead letter topic; its headers name the input record."""
    headers = _headers(message)
    header_prefix = "__dlq.errors."
    source_text = "-".join(
        headers.get(header_prefix + n, "") for n in ("topic", "partition", "offset")
    )
    return OutputRecord(
        _coordinates(message),
        _parse_coordinates(headers.get("__dlq.id", source_text)),
        message.key(),
        message.value(),
        headers.get(header_prefix + "code"),
        "__dlq.truncated" in headers,
    )


class ConcurrentReader:
    """Reads all committed events and dead letters in a thread while the consumer runs."""

    def __init__(self, address: str, *, anomalies: str, dead_letters: str) -> None:
        """Start reading; both topics must exist."""
        self._address = address
        self._anomalies = anomalies
        self._dead_letters = dead_letters
        partitions = [
            partition
            for topic in (anomalies, dead_letters)
            for partition in partitions_of(address, topic)
        ]
        self._consumer = _assigned_consumer(address, dict.fromkeys(partitions, 0))
        self._collector = _MessageCollector(self._consumer)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def finish(self) -> ReaderOutput:
        """Read to the current end of the topics, stop, and return all records."""
        ends = committed_ends(self._address, self._anomalies, self._dead_letters)
        try:
            wait_until(
                lambda: self._collector.has_reached(ends),
                deadline=_READ_SECONDS,
                what=f"the reader to reach {ends}",
            )
        finally:
            self.close()
        messages = self._collector.messages
        return ReaderOutput(
            tuple(
                parse_event(message) for message in messages if message.topic() == self._anomalies
            ),
            tuple(
                parse_dead_letter(message)
                for message in messages
                if message.topic() == self._dead_letters
            ),
        )

    def close(self) -> None:
        """Stop reading; a second call does nothing."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join(10)
            self._consumer.close()

    def _read(self) -> None:
        while not self._stopping.is_set():
            self._collector.consume_messages()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _MessageCollector:
    """Collects the messages of a consumer and its next offset in each partition."""

    def __init__(self, consumer: Consumer) -> None:
        self.messages: list[Message] = []
        self._consumer = consumer
        self._next_offsets: dict[Partition, int] = {}

    def consume_messages(self) -> None:
        for message in self._consumer.consume(1_000, 0.1):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                # The client reconnects after a transient error, so only a fatal error is raised.
                if error.fatal():
                    raise KafkaException(error)
                continue
            coordinates = _coordinates(message)
            # An end-of-partition message has the next offset, even if the last record was a
            # transaction marker.
            self._next_offsets[Partition(coordinates.topic, coordinates.partition)] = (
                coordinates.offset + (error is None)
            )
            if error is None:
                self.messages.append(message)

    def has_reached(self, ends: Mapping[Partition, int]) -> bool:
        return all(self._next_offsets.get(partition, 0) >= end for partition, end in ends.items())

    def consume_and_compare(self, ends: Mapping[Partition, int]) -> bool:
        self.consume_messages()
        return self.has_reached(ends)


def _assigned_consumer(address: str, partitions: Mapping[Partition, int]) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"checker-{uuid.uuid4().hex}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "reconnect.backoff.max.ms": 500,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
    )
    consumer.assign(
        [TopicPartition(partition.topic, partition.number, 0) for partition in partitions]
    )
    return consumer


def _coordinates(message: Message) -> Coordinates:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Coordinates(topic, partition, offset)


def _headers(message: Message) -> dict[str, str]:
    header_values = dict(message.headers() or [])
    return {
        name: value.decode() for name, value in header_values.items() if isinstance(value, bytes)
    }


def _parse_coordinates(source: str | None) -> Coordinates:
    topic, _, offset = (source or "").rpartition("-")
    topic, _, partition = topic.rpartition("-")
    if not (topic and partition.isdigit() and offset.isdigit()):
        return _NO_COORDINATES
    return Coordinates(topic, int(partition), int(offset))
