"""The text kafka:TOPIC, which names a topic where a file name is also allowed."""

from sensorwatch.common.errors import DataError

TOPIC_PREFIX = "kafka:"


def require_topic(topic: str) -> None:
    """Raise DataError if the name of a topic is empty."""
    if not topic:
        raise DataError("kafka: names no topic; wanted kafka:TOPIC, for example kafka:sensors")
