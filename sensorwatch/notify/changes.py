"""Finds the changes of incidents that a webhook does not know yet."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice

from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.notify.incident_book import IncidentBook, Notice, is_older
from sensorwatch.notify.routing import Target

MAX_CHANGES = 50
"""At most this number of changes is sent in one job. The next job sends further changes."""


class ChangeKind(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    RAISED = "raised"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an incident, and what the target knows after the change has arrived."""

    kind: ChangeKind
    id: str
    """The same change always has the same id."""
    incident: Incident
    episode_ids: tuple[str, ...]
    """The episodes of the incident, which all get the same notice."""
    earlier_notice: Notice
    """What the target knows before the change has arrived."""
    notice: Notice
    is_repeated: bool = False
    """Whether an earlier attempt to send the change may have arrived."""


def plan_changes(
    book: IncidentBook, target: Target, max_age_seconds: float, now: datetime
) -> list[Change]:
    """Return the next change of each incident, in the order of the incidents' begin."""
    incidents = sorted(book.incidents(), key=lambda incident: incident.begin)
    changes = (next_change(book, incident, target, max_age_seconds, now) for incident in incidents)
    return list(islice((change for change in changes if change is not None), MAX_CHANGES))


def next_change(
    book: IncidentBook, incident: Incident, target: Target, max_age_seconds: float, now: datetime
) -> Change | None:
    """Return the first change of an incident that a webhook does not know; None if there is none.

    `max_age_seconds`: an incident whose newest event is older is not sent for the first time.
    """
    notices = book.notices(incident, target.key)
    if not notices and (
        not target.wants(incident) or is_older(book.last(incident), now, max_age_seconds)
    ):
        return None
    open_notices = [notice for notice in notices if not notice.is_done]
    if open_notices:
        return _following_change(incident, open_notices[0], now)
    if notices and incident.end is not None:
        return None
    return _following_change(incident, Notice(_new_id(incident, notices)), now)


def _new_id(incident: Incident, notices: list[Notice]) -> str:
    """Return the id of an incident that opens, or that opens again after its end was sent."""
    known_ids = {notice.incident_id for notice in notices}
    candidates = [incident.id, *(episode.id for episode in reversed(incident.episodes))]
    return next((name for name in candidates if name not in known_ids), incident.id)


def _following_change(incident: Incident, notice: Notice, now: datetime) -> Change | None:
    severity = incident.severity
    if notice.opened_at is None:
        kind, suffix = ChangeKind.OPENED, "opened"
        new_notice = replace(notice, severity=severity, opened_at=now)
    elif severity_rank(severity) > severity_rank(notice.severity):
        kind, suffix = ChangeKind.RAISED, f"raised-{severity}"
        new_notice = replace(notice, severity=severity)
    elif incident.end is not None:
        kind, suffix = ChangeKind.CLOSED, "closed"
        new_notice = replace(notice, closed_at=now, is_done=True)
    else:
        return None
    change_id = f"{notice.incident_id}-{suffix}"
    return Change(
        kind,
        change_id,
        incident,
        tuple(episode.id for episode in incident.episodes),
        earlier_notice=notice,
        notice=replace(new_notice, attempt=""),
        is_repeated=notice.attempt == change_id,
    )
