"""What the loop of the notifier needs from Kafka."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sensorwatch.common.kafka.records import Record
from sensorwatch.notify.incident_book import TrackedEpisode


class EventReader(Protocol):
    """Reads the anomaly topic, see `AnomalyReader`."""

    @property
    def has_committed(self) -> bool:
        """Whether an earlier notifier of the group has committed offsets."""

    @property
    def partitions(self) -> Sequence[int]:
        """The numbers of the partitions that are read."""

    def poll(self, wait_seconds: float) -> Sequence[Record]:
        """Return the records that are available; wait for the first one."""

    def is_caught_up(self) -> bool:
        """Return whether all records that existed at the last `measure_lag` were read."""

    def measure_lag(self) -> bool:
        """Ask the broker for the ends of the partitions. Return whether it answered."""

    def lag(self, number: int) -> int:
        """Return the number of records of a partition that were not read."""

    def commit(self) -> bool:
        """Commit the position. Return whether the broker stored it."""


class EpisodeStore(Protocol):
    """Keeps the episodes that were sent, see `SavedEpisodes`."""

    def load(self) -> list[TrackedEpisode]:
        """Return the newest record of each episode."""

    def save(self, records: Mapping[str, TrackedEpisode | None]) -> bool:
        """Write episodes, and delete those with the value None. Return whether all are stored."""


class IdleSource(Protocol):
    """Finds idle input partitions, see `InputWatch`."""

    @property
    def topic(self) -> str:
        """The input topic."""

    def idle_partitions(self) -> dict[int, datetime]:
        """Return the time of the last record of each idle partition."""
