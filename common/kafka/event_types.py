"""The types of the events in the anomaly topic."""

from enum import StrEnum


class EventType(StrEnum):
    """The type of an event, in the header `ce_type`."""

    DETECTED = "io.sensorwatch.anomaly.detected.v1"
    """An anomalous row."""
    RAISED = "io.sensorwatch.episode.raised.v1"
    """A row that raises the severity of its episode, or shows another fault in it."""
    ACCEPTED = "io.sensorwatch.episode.accepted.v1"
    """A row after which the new level of a long episode counts as usual for its sensor."""
    CLOSED = "io.sensorwatch.episode.closed.v1"
    """The end of an episode."""
    STALE = "io.sensorwatch.model.stale.v1"
    """From this row on, the model no longer fits the rows of the partition."""
    SILENT = "io.sensorwatch.sensor.silent.v1"
    """A row shows that another sensor has sent no row for too long."""
    BACK = "io.sensorwatch.sensor.back.v1"
    """The first row of a sensor that was silent."""
