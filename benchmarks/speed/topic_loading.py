"""A topic filled with a stream's rows."""

from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from benchmarks.speed.json_payloads import Stream, chunks, payloads
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.silent_logger import quiet_logger


@dataclass(frozen=True, slots=True)
class LoadedTopic:
    """A topic and what is in it."""

    topic: str
    partitions: int
    rows: int
    bad: int
    bytes: int


def load_topic(kafka: dict[str, Any], topic: str, partitions: int, stream: Stream) -> LoadedTopic:
    """Produce all rows, each sensor's to one partition, keyed by sensor like our producer's."""
    producer = Producer(
        producer_config({**kafka, "queue.buffering.max.messages": 1_000_000}),
        logger=quiet_logger(),
    )
    keys = [b"sensor-%06d" % sensor for sensor in range(stream.sensors)]
    rows = bad = size = 0
    for chunk in chunks(stream):
        for sensor, payload in zip(chunk.sensor.tolist(), payloads(chunk), strict=True):
            _produce(producer, topic, payload, keys[sensor], sensor % partitions)
            size += len(payload)
        rows += len(chunk.sensor)
        bad += int(chunk.bad.sum())
    if producer.flush(120):
        raise RuntimeError(f"not every row reached {topic}")
    return LoadedTopic(topic, partitions, rows, bad, size)


def _produce(producer: Producer, topic: str, payload: bytes, key: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(topic, payload, key, partition)
        except BufferError:
            producer.poll(0.05)
        else:
            return
