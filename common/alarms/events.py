"""The events of the anomaly topic, as their readers see them."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import Record, header_value


class Signal(msgspec.Struct, frozen=True):
    """One signal of an event."""

    name: str
    actual: float
    expected_low: float
    expected_high: float
    direction: str
    attribution: float | None = None
    held: bool = False
    expected: float | None = None


class Source(msgspec.Struct, frozen=True):
    """The input record that caused an event."""

    topic: str
    partition: int
    offset: int


class Episode(msgspec.Struct, frozen=True):
    """The episode of an anomalous row, from its first row to this row."""

    rows: int
    id: str = ""
    start: str = ""
    peak: float | None = None


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event comes from."""

    group: str = ""
    """Group of the sensor; empty if it has none, or if the event concerns a whole partition."""
    source: Source | None = None


class _SensorEvent(_Origin, frozen=True):
    """The first fields of every event."""

    event_id: str
    sensor_id: str
    event_time: str


class Event(_SensorEvent, frozen=True):
    """The event of an anomalous row, with only the fields that readers use."""

    model_version: str
    anomaly_score: float
    severity: str
    signals: list[Signal]
    status: str = "scored"
    episode: Episode = Episode(rows=1)
    message: str = ""
    """The pattern of the episode as a sentence."""
    news: str = ""
    """What is new in a raised episode; empty for other events."""
    pattern: str = ""
    suppressed: str = "none"

    @property
    def worst_score(self) -> float:
        """Return the highest score of the episode so far."""
        return self.anomaly_score if self.episode.peak is None else self.episode.peak


class ClosingEvent(_SensorEvent, frozen=True):
    """The event that closes an episode, with only the fields that readers use."""

    duration_seconds: float
    rows: int
    peak: float
    severity: str
    episode_id: str = ""
    start: str = ""
    last: str = ""
    model_version: str = ""
    suppressed: str = "none"


class SignalLevel(msgspec.Struct, frozen=True):
    """The level of a signal before and after a new level was accepted, in the signal's unit."""

    name: str
    level_before: float
    level_after: float


class AcceptedEvent(_SensorEvent, frozen=True):
    """The event of an accepted level or accepted scores, with only the fields that readers use."""

    rows: int
    severity: str
    signals: list[SignalLevel]
    episode_id: str = ""
    start: str = ""
    model_version: str = ""


class StaleEvent(_SensorEvent, frozen=True):
    """The event of a model that no longer fits, with only the fields that readers use."""

    message: str
    severity: str = "stale"
    """This text is not a severity of an episode, so no option hides the event."""
    episode_id: str = ""


class SilentEvent(_SensorEvent, frozen=True):
    """The event of a sensor that became silent, with only the fields that readers use."""

    severity: str
    message: str
    last: str = ""
    """Time of the sensor's last row."""
    model_version: str = ""
    episode_id: str = ""


class BackEvent(_SensorEvent, frozen=True, rename={"episode_id": "silent_id"}):
    """The event of a silent sensor that sent a row, with only the fields that readers use."""

    severity: str
    message: str
    episode_id: str
    """The id of the event of the silence."""
    silent_since: str = ""
    model_version: str = ""


MessageEvent = StaleEvent | SilentEvent | BackEvent
"""The events that consist of a message."""
AnyEvent = Event | ClosingEvent | AcceptedEvent | MessageEvent

_DECODERS: dict[bytes | None, msgspec.json.Decoder[Any]] = {
    EventType.DETECTED.encode(): msgspec.json.Decoder(Event),
    EventType.RAISED.encode(): msgspec.json.Decoder(Event),
    EventType.CLOSED.encode(): msgspec.json.Decoder(ClosingEvent),
    EventType.ACCEPTED.encode(): msgspec.json.Decoder(AcceptedEvent),
    EventType.STALE.encode(): msgspec.json.Decoder(StaleEvent),
    EventType.SILENT.encode(): msgspec.json.Decoder(SilentEvent),
    EventType.BACK.encode(): msgspec.json.Decoder(BackEvent),
}


def read_event(record: Record) -> AnyEvent | None:
    """Return the event in a record of the anomaly topic.

    Returns None if the record is not an event, or if one of its times cannot be read.
    """
    decoder = _DECODERS.get(header_value(record, "ce_type"))
    if decoder is None:
        return None
    try:
        event: AnyEvent = decoder.decode(record.value() or b"")
    except (ValueError, RecursionError):
        return None
    return event if _has_readable_times(event) else None


def event_instant(text: str) -> datetime:
    """Return the time in a field of an event, in UTC.

    Raises ValueError if the text is not an RFC 3339 time with a time zone, in the years 1 to 9999.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999") from error


def _has_readable_times(event: AnyEvent) -> bool:
    texts = [event.event_time]
    if isinstance(event, Event):
        texts.append(event.episode.start)
    elif isinstance(event, ClosingEvent):
        texts += [event.start, event.last]
    elif isinstance(event, AcceptedEvent):
        texts.append(event.start)
    elif isinstance(event, SilentEvent):
        texts.append(event.last)
    elif isinstance(event, BackEvent):
        texts.append(event.silent_since)
    try:
        for text in texts:
            if text or text is event.event_time:
                event_instant(text)
    except ValueError:
        return False
    return True
