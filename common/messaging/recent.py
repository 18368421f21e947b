"""The latest records of a topic, for a look at what is in it."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message

from common.messaging.reading import read_topic, watermarks


def recent_records(kafka: Mapping[str, Any], topic: str, *, rows: int) -> list[Message]:
    """Return about the last `rows` committed records, spread over the partitions, by coordinates.

    Nothing is committed and no group is joined. Raises BrokerUnavailable where the topic cannot
    be read.
    """
    known = watermarks(kafka, topic)
    each = -(-rows // len(known))
    begin = {number: high - each for number, (_, high) in known.items()}
    found = list(read_topic(kafka, topic, begin=begin))
    return sorted(found, key=lambda record: (record.partition(), record.offset()))
