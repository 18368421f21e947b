"""The incidents of rows: episodes of several sensors that overlap and share a group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.sensor_groups import NO_GROUP, GroupReader
from sensorwatch.common.scoring.episode_rows import EpisodeOutputs
from sensorwatch.common.scoring.memory import Memory


@dataclass(frozen=True, slots=True)
class RowIncidents:
    """The incidents of the episodes of n rows, and of the episodes that the rows ended."""

    start: NDArray[np.int64]
    """Shape (n,). Start of the incident of the row's episode: the stream position of the incident's
    first row; -1 for a normal row."""
    ended_start: NDArray[np.int64]
    """Shape (n,). Start of the incident of the episode that the row ended; 0 if it ended none."""


def track_incidents(
    readings: Readings,
    is_out_of_order: NDArray[np.bool_],
    episodes: EpisodeOutputs,
    memory: Memory,
    group_of: GroupReader | None,
) -> RowIncidents:
    """Return the incidents of n rows; update the open incidents in `memory`.

    The incident of an episode is decided at its first row, and never changes. If another episode
    of the sensor's group is open, the episode joins its incident (see `OpenIncidents.find`).
    Otherwise it begins an incident. A late or duplicate row is a separate episode. It may join an
    incident, but no episode joins it, because its end is not known.

    `is_out_of_order`: shape (n,), whether the row is late or a duplicate. `group_of`: None if the
    schema declares no group; each episode is then its own incident.
    """
    ended_start = episodes.ended_episode[:, 1]
    if group_of is None and not len(memory.incidents):
        return RowIncidents(episodes.start, ended_start)
    is_ended = episodes.ended_episode[:, 0] > 0
    is_first = episodes.rows == 1
    changed_rows = np.flatnonzero(is_ended | is_first)
    incident_starts = memory.incidents.starts
    ended_incident_start = ended_start.copy()
    # The memory's open incidents are replaced, not changed, because `Memory.undo` restores them.
    incidents = memory.incidents.copy() if len(changed_rows) else memory.incidents
    columns = (is_ended, ended_start, is_first, readings.sensor, is_out_of_order, episodes.start)
    changes = zip(
        *(column[changed_rows].tolist() for column in (*columns, readings.event_time)), strict=True
    )
    ended_incidents = []
    for is_end, ended_episode, is_begin, sensor, is_separate, start, time in changes:
        ended_incidents.append(incidents.close(ended_episode) if is_end else ended_episode)
        if not is_begin or group_of is None:
            continue
        group = group_of(readings.sensor_ids[sensor])
        if group == NO_GROUP:
            continue
        if is_separate:
            incident = incidents.find(group, time)
        else:
            incident = incidents.open(group, start, time)
        incident_starts[start] = start if incident is None else incident.start
    ended_incident_start[changed_rows] = ended_incidents
    memory.incidents = incidents
    return RowIncidents(_incidents_of_rows(episodes.start, incident_starts), ended_incident_start)


def _incidents_of_rows(
    start: NDArray[np.int64], incident_starts: dict[int, int]
) -> NDArray[np.int64]:
    """Return the start of each row's incident (n,), by the start of the row's episode (n,)."""
    incident = start.copy()
    rows = np.flatnonzero(start >= 0)
    incident[rows] = [incident_starts.get(episode, episode) for episode in start[rows].tolist()]
    return incident
