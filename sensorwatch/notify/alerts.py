"""Builds the alerts for Alertmanager from the state of the incidents."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.alarms.page_links import sensor_address
from sensorwatch.notify.incident_book import IncidentBook, Notice, is_older
from sensorwatch.notify.policy import NotifyPolicy
from sensorwatch.notify.routing import Target

INCIDENT_ALERT = "SensorwatchIncident"
ALIVE_ALERT = "SensorwatchNotifierAlive"
IDLE_ALERT = "SensorwatchInputIdle"
INCIDENT_PAGE, IDLE_PAGE = "README.md", "SensorwatchPartitionIdle.md"
"""The runbooks of an incident and of an idle partition."""
CLOSED_SECONDS = 300
"""For this time, the end of a closed incident is sent again."""
MAX_NAMES = 20
"""An annotation lists at most this number of sensors or episodes."""

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class PlannedAlert:
    """An alert to send, and what the target knows after it has arrived."""

    alert: dict[str, Any]
    episode_ids: tuple[str, ...]
    notice: Notice
    is_first: bool = False
    """Whether this is the first alert about the incident for this target."""
    other_episode_ids: tuple[str, ...] = ()
    """Episodes of other incidents with the same labels, whose end is never sent."""


def plan_alerts(
    book: IncidentBook, target: Target, policy: NotifyPolicy, now: datetime
) -> list[PlannedAlert]:
    """Return the alerts that an Alertmanager must get now.

    There is one alert for each set of labels: that of the open incident, or that of the newest
    closed one.
    """
    alerts: dict[tuple[tuple[str, str], ...], PlannedAlert] = {}
    for incident in book.incidents():
        notices = book.notices(incident, target.key)
        if not notices and not _is_new(book, incident, target, policy, now):
            continue
        if notices and all(notice.is_done for notice in notices) and incident.end is not None:
            continue
        planned = _planned_alert(incident, notices, target, policy, now)
        labels = tuple(planned.alert["labels"].items())
        earlier_alert = alerts.get(labels)
        if earlier_alert is not None:
            # Only one of them can be the alert with these labels: an open one, else the newer one.
            is_older_open = (
                earlier_alert.notice.closed_at is None and planned.notice.closed_at is not None
            )
            chosen, other = (earlier_alert, planned) if is_older_open else (planned, earlier_alert)
            other_ids = other.episode_ids + other.other_episode_ids
            planned = replace(chosen, other_episode_ids=chosen.other_episode_ids + other_ids)
        alerts[labels] = planned
    return list(alerts.values())


def _is_new(
    book: IncidentBook, incident: Incident, target: Target, policy: NotifyPolicy, now: datetime
) -> bool:
    is_too_old = is_older(book.last(incident), now, policy.max_age_seconds)
    return target.wants(incident) and not is_too_old


def _planned_alert(
    incident: Incident,
    notices: list[Notice],
    target: Target,
    policy: NotifyPolicy,
    now: datetime,
) -> PlannedAlert:
    opened_at = min((notice.opened_at for notice in notices if notice.opened_at), default=None)
    closed_at = min((notice.closed_at for notice in notices if notice.closed_at), default=None)
    incident_id = notices[0].incident_id if notices else incident.id
    begin = min(incident.begin, now)
    # Alertmanager sends no message about an alert that had ended when it arrived. So a closed
    # incident is first sent as an open one, for an interval.
    was_open = opened_at is not None and is_older(opened_at, now, policy.interval_seconds)
    if incident.end is None or not was_open:
        end = now + timedelta(seconds=policy.open_seconds)
        notice = Notice(incident_id, incident.severity, opened_at or now)
    else:
        end = max(begin, min(incident.end, now))
        closed_at = closed_at or now
        notice = Notice(
            incident_id,
            incident.severity,
            opened_at,
            closed_at,
            is_done=is_older(closed_at, now, CLOSED_SECONDS),
        )
    alert = {
        "labels": labels_of(incident, target),
        "annotations": dict(_annotations(incident, incident_id, policy)),
        "startsAt": begin.isoformat(),
        "endsAt": end.isoformat(),
        "generatorURL": link_to(incident, policy.page_url),
    }
    episode_ids = tuple(episode.id for episode in incident.episodes)
    return PlannedAlert(alert, episode_ids, notice, is_first=not notices)


def alive_alert(policy: NotifyPolicy, now: datetime) -> PlannedAlert:
    """Return the alert that always fires, so that its absence shows that the notifier is dead."""
    summary = "The notifier works, and has read all events."
    return _state_alert({"alertname": ALIVE_ALERT}, summary, now, policy, now)


def idle_alert(
    topic: str, partition: int, last_time: datetime, policy: NotifyPolicy, now: datetime
) -> PlannedAlert:
    """Return the alert of an input partition whose last record arrived at `last_time`."""
    labels = {"alertname": IDLE_ALERT, "topic": topic, "partition": str(partition)}
    minutes = (now - last_time).total_seconds() / 60
    summary = f"partition {partition} of {topic}: no new record for {minutes:.0f} minutes"
    planned = _state_alert(labels, summary, last_time, policy, now)
    if policy.runbooks_url:
        planned.alert["annotations"]["runbook_url"] = runbook_address(policy, IDLE_PAGE)
    return planned


def _state_alert(
    labels: Labels, summary: str, begin: datetime, policy: NotifyPolicy, now: datetime
) -> PlannedAlert:
    """Return an alert that belongs to no incident."""
    alert = {
        "labels": labels | {"notifier": policy.source},
        "annotations": {"summary": summary},
        "startsAt": begin.isoformat(),
        "endsAt": (now + timedelta(seconds=policy.open_seconds)).isoformat(),
    }
    return PlannedAlert(alert, (), Notice(""))


def labels_of(incident: Incident, target: Target) -> Labels:
    """Return the labels, which identify the alert. They never change while an incident is open."""
    first_episode = incident.episodes[0]
    labels = {"alertname": INCIDENT_ALERT, "model": model_name(first_episode.model_version)}
    if incident.group:
        labels["group"] = incident.group
    else:
        labels["sensor"] = first_episode.sensor_id
    if target.route:
        labels["route"] = target.route
    return {name: value for name, value in labels.items() if value}


def model_name(version: str) -> str:
    """Return the model's name in a version, such as `default` in `default-0001-aaaaaaaa`."""
    parts = version.rsplit("-", 2)
    return parts[0] if len(parts) == 3 else version


def runbook_address(policy: NotifyPolicy, page: str) -> str:
    """Return the URL of a page in docs/runbooks."""
    return f"{policy.runbooks_url.rstrip('/')}/{page}"


def link_to(incident: Incident, page_url: str) -> str:
    """Return the URL of an incident on the page; empty if there is no page."""
    if not page_url:
        return ""
    worst_episode = incident.worst_episode
    return f"{page_url.rstrip('/')}{sensor_address(worst_episode.sensor_id, worst_episode.id)}"


def _annotations(
    incident: Incident, incident_id: str, policy: NotifyPolicy
) -> Iterator[tuple[str, str]]:
    worst_episode = incident.worst_episode
    yield "severity", incident.severity
    yield "summary", incident.message
    yield "pattern", worst_episode.pattern or "unusual"
    yield "members", _short_list(incident.sensor_ids)
    yield "episodes", _short_list([episode.id for episode in incident.episodes])
    yield "incident", incident_id
    yield "model_version", worst_episode.model_version
    yield "score", f"{max(episode.peak for episode in incident.episodes):.2f}"
    if policy.page_url:
        yield "link", link_to(incident, policy.page_url)
    if policy.runbooks_url:
        yield "runbook_url", runbook_address(policy, INCIDENT_PAGE)


def _short_list(names: "tuple[str, ...] | list[str]") -> str:
    text = ", ".join(names[:MAX_NAMES])
    others = len(names) - MAX_NAMES
    return f"{text} and {others} more" if others > 0 else text
