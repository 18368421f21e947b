"""The name of a topic where a file could be named, too: kafka:TOPIC."""

from sensorwatch.common.errors import DataError

TOPIC_PREFIX = "kafka:"


def require_topic(topic: str) -> None:
    """Raise DataError if the name of a topic is empty."""
    if not topic:
        raise DataError("kafka: names no topic; wanted kafka:TOPIC, for example kafka:sensors")
