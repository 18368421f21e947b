"""What an event of the anomaly topic is about."""

from enum import StrEnum


class EventType(StrEnum):
    """What its header `ce_type` says."""

    DETECTED = "io.sensorwatch.anomaly.detected.v1"
    """An anomalous row."""
    CLOSED = "io.sensorwatch.episode.closed.v1"
    """The end of an episode of anomalous rows."""
