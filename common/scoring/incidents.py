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
    """Shape (n,). Stream position of the first row of the incident of the row's episode; -1 for a
    normal row."""
    ended_start: NDArray[np.int64]
    """Shape (n,). The same for the episode that the row ended; 0 if it ended no episode."""


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
    incident_starts = memory.incidents.starts
    start_of_ended = ended_start.copy()
    changed_rows = np.flatnonzero(is_ended | is_first).tolist()
    # The memory's open incidents are replaced, not changed, because `Memory.undo` restores them.
    incidents = memory.incidents.copy() if changed_rows else memory.incidents
    for row in changed_rows:
        if is_ended[row]:
            start_of_ended[row] = incidents.close(int(ended_start[row]))
        sensor_id = readings.sensor_ids[readings.sensor[row]]
        group = group_of(sensor_id) if group_of is not None and is_first[row] else NO_GROUP
        if group == NO_GROUP:
            continue
        start, time = int(episodes.start[row]), int(readings.event_time[row])
        incident = (
            incidents.find(group, time)
            if is_out_of_order[row]
            else incidents.open(group, start, time)
        )
        incident_starts[start] = start if incident is None else incident.start
    memory.incidents = incidents
    return RowIncidents(_incidents_of_rows(episodes.start, incident_starts), start_of_ended)


def _incidents_of_rows(
    start: NDArray[np.int64], incident_starts: dict[int, int]
) -> NDArray[np.int64]:
    """Return the start of each row's incident (n,), by the start of the row's episode (n,)."""
    present_starts, index_of_row = np.unique(start, return_inverse=True)
    incident_of_start = np.asarray(
        [incident_starts.get(episode, episode) for episode in present_starts.tolist()],
        dtype=np.int64,
    )
    incidents: NDArray[np.int64] = incident_of_start[index_of_row]
    return incidents
