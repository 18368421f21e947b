"""Select the events of a topic by severity, sensor and time."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, time_reader
from sensorwatch.common.scoring.detections import Severity

_read_time = time_reader(TimeField(naive_zone="UTC"))


@dataclass(frozen=True, slots=True)
class EventSelection:
    """The events to show."""

    lowest_severity: Severity
    sensor_pattern: str = "*"
    """Shell pattern that the sensor id must match."""
    since: int | None = None
    """Earliest event time, microseconds UTC."""

    def is_severe_enough(self, event: AnyEvent) -> bool:
        """Return whether the severity of the event's episode is high enough."""
        return severity_rank(event.severity) >= severity_rank(self.lowest_severity)

    def has_selected_sensor_and_time(self, event: AnyEvent) -> bool:
        """Return whether sensor and time of the event match the selection."""
        if not fnmatchcase(event.sensor_id, self.sensor_pattern):
            return False
        return self.since is None or _microseconds(event.event_time) >= self.since


def _microseconds(text: str) -> int:
    """Return an event time, or 0 if the text is not a time."""
    try:
        return _read_time(text, None)
    except BadTime:
        return 0
