"""The latest records of a topic, for a look at what is in it."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from common.errors import BrokerUnavailable
from common.messaging.kafka_config import reader_config
from common.messaging.quiet import quiet_logger


def recent_records(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    partitions: int,
    rows: int,
    timeout: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> list[Message]:
    """Return about the last `rows` committed records, spread over the partitions, by coordinates.

    Nothing is committed and no group is joined. Raises BrokerUnavailable where the topic cannot
    be read in time.
    """
    group = f"sensorwatch-look-{uuid.uuid4().hex}"
    consumer = Consumer(reader_config(kafka, group=group), logger=quiet_logger())
    deadline = clock() + timeout
    try:
        each = -(-rows // partitions)
        starts = [_start(consumer, topic, number, each, timeout) for number in range(partitions)]
        consumer.assign(starts)
        found = _until_the_ends(consumer, set(range(partitions)), deadline, clock)
    except KafkaException as error:
        raise BrokerUnavailable(f"topic {topic} cannot be read: {error.args[0]}") from error
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition(), record.offset()))


def _start(
    consumer: Consumer, topic: str, partition: int, rows: int, timeout: float
) -> TopicPartition:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)
    return TopicPartition(topic, partition, max(low, high - rows))


def _until_the_ends(
    consumer: Consumer, waiting: set[int], deadline: float, clock: Callable[[], float]
) -> list[Message]:
    found = []
    while waiting:
        if clock() > deadline:
            listed = ", ".join(map(str, sorted(waiting)))
            raise BrokerUnavailable(f"no answer in time from partition {listed}; try again")
        for record in consumer.consume(1000, 0.05):
            error = record.error()
            if error is None:
                found.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's own name
                waiting.discard(record.partition())
            elif not error.retriable():
                raise KafkaException(error)
    return found
