"""The incidents that the page shows: open ones by severity, and the newest closed ones."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.incidents import Incident, incidents_of
from sensorwatch.common.alarms.severity import severity_rank

MAX_OPEN = 50
"""The page shows at most this number of open incidents, the most severe ones."""
MAX_CLOSED = 20


@dataclass(frozen=True, slots=True)
class IncidentBoard:
    """The incidents that the page shows."""

    shown: tuple[Incident, ...]
    """Open incidents, the most severe first; equally severe ones newest first."""
    closed: tuple[Incident, ...]
    """Closed incidents, the newest end first."""
    counts: dict[str, int]
    """Number of open incidents by severity, the most severe first."""

    @property
    def open_count(self) -> int:
        """Return the number of open incidents, including those that are not shown."""
        return sum(self.counts.values())


def incident_board(episodes: Iterable[EpisodeState]) -> IncidentBoard:
    """Return the incidents to show."""
    incidents = incidents_of(episodes)
    open_incidents = [incident for incident in incidents if incident.end is None]
    # Both sorts are stable: first by begin, then by severity.
    open_incidents.sort(key=lambda incident: (incident.begin, incident.id), reverse=True)
    open_incidents.sort(key=lambda incident: severity_rank(incident.severity), reverse=True)
    closed = [(incident.end, incident) for incident in incidents if incident.end is not None]
    closed.sort(key=_end_and_id, reverse=True)
    return IncidentBoard(
        shown=tuple(open_incidents[:MAX_OPEN]),
        closed=tuple(incident for _, incident in closed[:MAX_CLOSED]),
        counts=dict(Counter(incident.severity for incident in open_incidents)),
    )


def _end_and_id(item: tuple[datetime, Incident]) -> tuple[datetime, str]:
    return item[0], item[1].id
