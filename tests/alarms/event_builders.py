"""Builds events of the anomaly topic, as readers get them."""

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    ClosingEvent,
    Episode,
    Event,
    SignalLevel,
    Source,
)


def a_time(minute: int) -> str:
    """Return the event time of a minute after the begin of 1 January."""
    return f"2025-01-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z"


def an_alarm(
    episode_id: str = "sensors-0-1",
    minute: int = 0,
    *,
    sensor: str = "pump-1",
    severity: str = "warning",
    rows: int = 1,
    group: str = "",
    news: str = "",
    status: str = "scored",
    start_minute: int | None = None,
) -> Event:
    """Return the event of an anomalous row, or of a raised episode if `news` is given."""
    return Event(
        event_id=episode_id if rows == 1 else f"{episode_id}-row-{rows}",
        sensor_id=sensor,
        event_time=a_time(minute),
        model_version="default-0001-aaaaaaaa",
        anomaly_score=1.0 + rows / 10,
        severity=severity,
        signals=[],
        status=status,
        episode=Episode(rows, episode_id, a_time(minute if start_minute is None else start_minute)),
        message=f"x1 is high in row {rows}",
        news=news,
        pattern="spike",
        group=group,
        source=Source("sensors", 0, minute),
    )


def an_end(
    episode_id: str = "sensors-0-1",
    minute: int = 10,
    *,
    sensor: str = "pump-1",
    severity: str = "warning",
    group: str = "",
) -> ClosingEvent:
    """Return the event of the end of an episode, whose last row is one minute earlier."""
    return ClosingEvent(
        event_id=f"{episode_id}-closed",
        sensor_id=sensor,
        event_time=a_time(minute),
        duration_seconds=540.0,
        rows=9,
        peak=3.0,
        severity=severity,
        episode_id=episode_id,
        start=a_time(0),
        last=a_time(minute - 1),
        model_version="default-0001-aaaaaaaa",
        group=group,
        source=Source("sensors", 0, minute),
    )


def an_acceptance(episode_id: str = "sensors-0-1", minute: int = 8) -> AcceptedEvent:
    """Return the event of an accepted level."""
    return AcceptedEvent(
        event_id=f"{episode_id}-accepted",
        sensor_id="pump-1",
        event_time=a_time(minute),
        rows=8,
        severity="warning",
        signals=[SignalLevel("x1", 1.0, 2.0)],
        episode_id=episode_id,
        start=a_time(0),
    )
