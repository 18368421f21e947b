"""The open incidents of one stream: incidents with an open episode."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from sensorwatch.common.model.season import DAY
from sensorwatch.common.rows.sensor_groups import NO_GROUP, GroupReader
from sensorwatch.common.scoring.row_positions import split_row_positions

MAX_START_DISTANCE = int(DAY)
"""Largest distance between the beginning of an incident and the beginning of an episode that joins
it, in microseconds of event time."""


class Incident(NamedTuple):
    """An incident: episodes of one group that overlap."""

    group: str
    start: int
    """Stream position of the first row of the incident's first episode."""
    start_time: int
    """Event time of this row, microseconds UTC."""


class OpenEpisode(NamedTuple):
    """An open episode of the memory."""

    sensor_id: str
    start: int
    """Stream position of the episode's first row."""
    start_time: int
    """Event time of this row, microseconds UTC."""


class OpenIncidents:
    """The open incidents of one stream, each with its open episodes.

    They are part of the memory of a partition. So they are stored in its snapshots, and are undone
    together with it. An episode without a group is its own incident, and is not stored.
    """

    def __init__(self, content: Iterable[tuple[Incident, Iterable[int]]] = ()) -> None:
        """Create the open incidents from pairs of an incident and the starts of its episodes."""
        self._incident_by_episode: dict[int, Incident] = {}
        self._episode_counts: dict[Incident, int] = {}
        self._incidents_by_group: dict[str, tuple[Incident, ...]] = {}
        for incident, episodes in content:
            for episode in episodes:
                self._add(incident, episode)

    def __len__(self) -> int:
        return len(self._episode_counts)

    @property
    def content(self) -> tuple[tuple[Incident, tuple[int, ...]], ...]:
        """The open incidents in the order of their beginnings, each with its open episodes."""
        episodes_by_incident: dict[Incident, list[int]] = {
            incident: [] for incident in self._episode_counts
        }
        for episode, incident in self._incident_by_episode.items():
            episodes_by_incident[incident].append(episode)
        return tuple(
            (incident, tuple(episodes)) for incident, episodes in episodes_by_incident.items()
        )

    @property
    def starts(self) -> dict[int, int]:
        """The start of the incident of each open episode with a group, by the episode's start."""
        return {episode: incident.start for episode, incident in self._incident_by_episode.items()}

    def copy(self) -> "OpenIncidents":
        """Return a copy; later changes of one do not change the other."""
        copy = OpenIncidents()
        copy._incident_by_episode = dict(self._incident_by_episode)
        copy._episode_counts = dict(self._episode_counts)
        copy._incidents_by_group = dict(self._incidents_by_group)
        return copy

    def find(self, group: str, start_time: int) -> Incident | None:
        """Return the incident that an episode of a group joins; None if it begins an incident.

        The result is the first open incident of the group that began at most MAX_START_DISTANCE
        before or after the episode, in event time.
        """
        for incident in self._incidents_by_group.get(group, ()):
            if abs(start_time - incident.start_time) <= MAX_START_DISTANCE:
                return incident
        return None

    def open(self, group: str, start: int, start_time: int) -> Incident:
        """Add an episode that begins, and return its incident."""
        incident = self.find(group, start_time) or Incident(group, start, start_time)
        self._add(incident, start)
        return incident

    def close(self, start: int) -> int:
        """Remove an episode that ended; return the start of its incident.

        An episode that is not stored is its own incident.
        """
        incident = self._incident_by_episode.pop(start, None)
        if incident is None:
            return start
        self._episode_counts[incident] -= 1
        if not self._episode_counts[incident]:
            del self._episode_counts[incident]
            remaining = tuple(
                other for other in self._incidents_by_group[incident.group] if other != incident
            )
            self._incidents_by_group[incident.group] = remaining
            if not remaining:
                del self._incidents_by_group[incident.group]
        return incident.start

    def adopted(
        self, episodes: Iterable[OpenEpisode], group_of: GroupReader | None
    ) -> "OpenIncidents":
        """Return the open incidents of a new model, with all open episodes of the memory.

        Each episode keeps its incident. The groups are those of the new model.
        """
        incident_starts = self.starts
        start_times = {incident.start: incident.start_time for incident in self._episode_counts}
        adopted = OpenIncidents()
        for episode in _by_begin(episodes):
            group = NO_GROUP if group_of is None else group_of(episode.sensor_id)
            start = incident_starts.get(episode.start, episode.start)
            if group != NO_GROUP or start != episode.start:
                start_time = start_times.get(start, episode.start_time)
                adopted._add(Incident(group, start, start_time), episode.start)
        return adopted

    def _add(self, incident: Incident, episode: int) -> None:
        self._incident_by_episode[episode] = incident
        count = self._episode_counts.get(incident, 0)
        self._episode_counts[incident] = count + 1
        if not count:
            group = incident.group
            self._incidents_by_group[group] = (*self._incidents_by_group.get(group, ()), incident)


def _by_begin(episodes: Iterable[OpenEpisode]) -> Iterator[OpenEpisode]:
    """Yield episodes in the order in which they began."""
    listed = list(episodes)
    records, rows = split_row_positions(
        np.asarray([episode.start for episode in listed], dtype=np.int64)
    )
    yield from (listed[index] for index in np.lexsort((rows, records)).tolist())
