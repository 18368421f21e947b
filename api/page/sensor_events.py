"""The newest events of each sensor."""

from collections import deque

from sensorwatch.common.alarms.events import AnyEvent

MAX_EVENTS = 20_000
"""The newest events of all sensors that are remembered, about 2 kB each."""
MAX_EVENTS_OF_SENSOR = 300


class SensorEvents:
    """Remembers the newest events, of all sensors together and of each sensor."""

    def __init__(
        self,
        *,
        max_events: int = MAX_EVENTS,
        max_events_of_sensor: int = MAX_EVENTS_OF_SENSOR,
    ) -> None:
        self._max_events, self._max_events_of_sensor = max_events, max_events_of_sensor
        self._added = 0
        self._events: dict[str, deque[tuple[int, AnyEvent]]] = {}
        """The events of each sensor, each with its number in the order of arrival."""
        self._order: deque[str] = deque()
        """The sensor of each of the newest `max_events` events, oldest first."""

    def __len__(self) -> int:
        """Return the number of sensors with remembered events."""
        return len(self._events)

    def add(self, event: AnyEvent) -> None:
        """Add an event. If there are too many events, drop the oldest ones."""
        events = self._events.setdefault(event.sensor_id, deque())
        events.append((self._added, event))
        self._added += 1
        self._order.append(event.sensor_id)
        if len(events) > self._max_events_of_sensor:
            events.popleft()
        if len(self._order) > self._max_events:
            self._drop_oldest()

    def of_sensor(self, sensor_id: str) -> list[AnyEvent]:
        """Return the events of a sensor, oldest first."""
        return [event for _, event in self._events.get(sensor_id, ())]

    def _drop_oldest(self) -> None:
        sensor_id = self._order.popleft()
        events = self._events.get(sensor_id)
        # A sensor with many events may have dropped its oldest event before.
        if events and events[0][0] < self._added - self._max_events:
            events.popleft()
        if not events:
            self._events.pop(sensor_id, None)
