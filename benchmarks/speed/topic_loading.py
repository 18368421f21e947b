"""Fill a Kafka topic with the rows of a stream."""

from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from benchmarks.speed.json_payloads import Stream, chunks, payloads
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.silent_logger import silent_logger


@dataclass(frozen=True, slots=True)
class LoadedTopic:
    """A filled topic with its number of rows and bytes."""

    topic: str
    partitions: int
    rows: int
    bad_rows: int
    """Number of invalid rows."""
    payload_bytes: int


def load_topic(kafka: dict[str, Any], topic: str, partitions: int, stream: Stream) -> LoadedTopic:
    """Produce all rows of a stream; the key is the sensor, which determines the partition."""
    producer = Producer(
        producer_config({**kafka, "queue.buffering.max.messages": 1_000_000}),
        logger=silent_logger(),
    )
    keys = [b"sensor-%06d" % sensor for sensor in range(stream.sensors)]
    rows = bad_rows = payload_bytes = 0
    for chunk in chunks(stream):
        for sensor, payload in zip(chunk.sensor.tolist(), payloads(chunk), strict=True):
            _produce(producer, topic, payload, keys[sensor], sensor % partitions)
            payload_bytes += len(payload)
        rows += len(chunk.sensor)
        bad_rows += int(chunk.is_bad.sum())
    if producer.flush(120):
        raise RuntimeError(f"not every row reached {topic}")
    return LoadedTopic(topic, partitions, rows, bad_rows, payload_bytes)


def _produce(producer: Producer, topic: str, payload: bytes, key: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(topic, payload, key, partition)
        except BufferError:
            producer.poll(0.05)
        else:
            return
