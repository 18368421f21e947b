"""Joins the episodes of a group that overlap in time to incidents."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.severity import severity_rank

MAX_INCIDENT_TIME = timedelta(days=1)
"""An episode joins an incident only if it begins at most this time after the incident.

The worker has the same limit, see docs/decisions/0026-incidents.md."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Episodes of one group that overlap in time, also if they are from several partitions.

    Each sensor without a group is a group of its own.
    """

    group: str
    """Name of the group; empty if the sensor has no group."""
    episodes: tuple[EpisodeState, ...]
    """At least one episode, in the order of their begin."""

    @property
    def id(self) -> str:
        """Return the id of the first episode. It can change while older events are still read."""
        return self.episodes[0].id

    @property
    def begin(self) -> datetime:
        """Return the begin of the first episode."""
        return self.episodes[0].begin

    @property
    def end(self) -> datetime | None:
        """Return the end of the last episode, or None while an episode is open."""
        ends = [episode.end for episode in self.episodes if episode.end is not None]
        return max(ends) if len(ends) == len(self.episodes) else None

    @property
    def last(self) -> datetime:
        """Return the time of the newest event."""
        return max(episode.last for episode in self.episodes)

    @property
    def severity(self) -> str:
        """Return the highest severity of the episodes."""
        return self.worst_episode.severity

    @property
    def worst_episode(self) -> EpisodeState:
        """Return the most severe episode; the first one if several are equally severe."""
        return max(self.episodes, key=lambda episode: severity_rank(episode.severity))

    @property
    def sensor_ids(self) -> tuple[str, ...]:
        """Return the sensors, in the order of their first episode."""
        return tuple(dict.fromkeys(episode.sensor_id for episode in self.episodes))

    @property
    def message(self) -> str:
        """Return the sentence of the worst episode, with the number of further sensors."""
        episode = self.worst_episode
        sentence = f"{episode.sensor_id}: {episode.message or 'unusual values'}"
        others = len(self.sensor_ids) - 1
        if others == 0:
            return sentence
        return f"{sentence}; {others} more {'sensor' if others == 1 else 'sensors'} of {self.group}"


def incidents_of(episodes: Iterable[EpisodeState]) -> list[Incident]:
    """Return the incidents that the episodes form, in the order of their begin.

    An episode joins an incident of its group under two conditions. It begins while an earlier
    episode of the incident is open, or at the moment at which the last one ends. And it begins at
    most `MAX_INCIDENT_TIME` after the incident.
    """
    episodes_by_group: dict[tuple[str, str], list[EpisodeState]] = defaultdict(list)
    for episode in episodes:
        episodes_by_group[group_key(episode)].append(episode)
    incidents = [
        Incident(group, tuple(overlapping_episodes))
        for (group, _), episodes_of_group in episodes_by_group.items()
        for overlapping_episodes in _overlapping(episodes_of_group)
    ]
    return sorted(incidents, key=lambda incident: (incident.begin, incident.id))


def group_key(episode: EpisodeState) -> tuple[str, str]:
    """Return the key of an episode's group: its name, or the sensor id if there is no group."""
    return (episode.group, "") if episode.group else ("", episode.sensor_id)


def _overlapping(episodes: list[EpisodeState]) -> list[list[EpisodeState]]:
    """Split the episodes of a group into overlapping_episodes of episodes that overlap in time."""
    overlapping_episodes: list[list[EpisodeState]] = []
    end: datetime | None = None
    for episode in sorted(episodes, key=lambda episode: (episode.begin, episode.id)):
        is_overlapping = overlapping_episodes and (end is None or episode.begin <= end)
        if (
            is_overlapping
            and episode.begin - overlapping_episodes[-1][0].begin <= MAX_INCIDENT_TIME
        ):
            overlapping_episodes[-1].append(episode)
            end = None if end is None or episode.end is None else max(end, episode.end)
        else:
            overlapping_episodes.append([episode])
            end = episode.end
    return overlapping_episodes
