"""Writes the changes of incidents as CloudEvents in structured mode."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from sensorwatch.notify.alerts import link_to, model_name
from sensorwatch.notify.changes import Change, ChangeKind

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPES = {kind: f"io.sensorwatch.incident.{kind.value}.v1" for kind in ChangeKind}


def cloud_event(change: Change, *, source: str, page_url: str, route: str) -> dict[str, Any]:
    """Return a change as a CloudEvent.

    `source`: the consumer group of the notifier. The event of a change that is sent again has the
    same id and source.
    """
    incident = change.incident
    names = [source, route] if route else [source]
    worst_episode = incident.worst_episode
    data: dict[str, Any] = {
        "incident_id": change.notice.incident_id,
        "group": incident.group,
        "sensors": list(incident.sensor_ids),
        "severity": incident.severity,
        "pattern": worst_episode.pattern,
        "message": incident.message,
        "begin": _text(incident.begin),
        "end": None if incident.end is None else _text(incident.end),
        "peak": max(episode.peak for episode in incident.episodes),
        "episodes": [episode.id for episode in incident.episodes],
        "model": model_name(worst_episode.model_version),
        "model_version": worst_episode.model_version,
        "route": route,
    }
    if page_url:
        data["link"] = link_to(incident, page_url)
    return {
        "specversion": "1.0",
        "id": change.id,
        "source": "/".join(["/sensorwatch", *(quote(name, safe="") for name in names)]),
        "type": TYPES[change.kind],
        "subject": incident.group or incident.sensor_ids[0],
        "time": _text(_time_of(change)),
        "datacontenttype": "application/json",
        "data": data,
    }


def _time_of(change: Change) -> datetime:
    """Return the event time of a change."""
    incident = change.incident
    if change.kind is ChangeKind.OPENED:
        return incident.begin
    return incident.end or incident.last


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
