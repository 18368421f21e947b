"""Data classes for the expected and the actual output of a run."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.kafka.records import Coordinates, Partition


class RecordOutcome(StrEnum):
    """The outcomes of an input record."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class ExpectedOutcome:
    """The outcome that an input record should have, from scoring the record again."""

    offset: int
    record_outcome: RecordOutcome
    key: bytes | None = None
    """Key of the event or dead letter; None for a normal record."""
    value: bytes | None = None
    reason: str | None = None
    """The reason code of a dead letter."""
    has_event: bool = True
    """False if `emit = "episodes"` omits the event of an anomaly."""


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """The end of an episode, for which an event should be published."""

    episode: int
    """Offset of the first anomalous record of the episode."""
    offset: int
    """Offset of the record that ended the episode."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A published record: the event of a row or of the end of an episode, or a dead letter."""

    coordinates: Coordinates
    source: Coordinates
    """The input record that the published record names as its source."""
    key: bytes | None = None
    value: bytes | None = None
    reason: str | None = None
    truncated: bool = False
    """Whether a dead letter has the header for a truncated value."""
    episode: Coordinates | None = None
    """The first record of the episode, if the record is the event of an episode's end."""


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """The records that a read_committed reader returned, in reading order."""

    events: tuple[OutputRecord, ...] = ()
    """Events of rows and of episodes' ends."""
    dead_letters: tuple[OutputRecord, ...] = ()

    @property
    def detections(self) -> tuple[OutputRecord, ...]:
        """The events of rows."""
        return tuple(record for record in self.events if record.episode is None)

    @property
    def episode_ends(self) -> tuple[OutputRecord, ...]:
        """The events of episodes' ends."""
        return tuple(record for record in self.events if record.episode is not None)


@dataclass(frozen=True, slots=True)
class FinalAccount:
    """The account in the metadata of a partition's committed offset."""

    next_offset: int
    consumed: int
    normal: int
    anomalies: int
    dead_letters: int
    digest: int
    first_offset: int = 0
    """First offset that the account counts."""


@dataclass(frozen=True, slots=True)
class InputPartition:
    """An input partition: its expected outcomes, committed offset and account."""

    partition: Partition
    expected_outcomes: tuple[ExpectedOutcome, ...]
    """One outcome for every record from the group's first offset on, in offset order."""
    committed_offset: int | None
    """The group's committed offset, or None."""
    account: FinalAccount | None
    digest: int | None
    """The digest of the records below `committed_offset`, computed again."""
    required_offset: int | None = None
    """The offset that the run had to commit; None if any offset is correct."""
    episode_ends: tuple[EpisodeEnd, ...] = ()
    """The ends of episodes, in offset order."""


@dataclass(frozen=True, slots=True)
class EndOffsets:
    """The end offsets of an output partition for read_committed and for read_uncommitted."""

    partition: Partition
    read_committed: int
    read_uncommitted: int


@dataclass(frozen=True, slots=True)
class History:
    """The expected and actual output of a run, which the checker compares."""

    inputs: tuple[InputPartition, ...]
    output_after_run: ReaderOutput
    """The output, read from its beginning after the run."""
    output_during_run: ReaderOutput
    """The output, read from its beginning during the run."""
    output_ends: tuple[EndOffsets, ...]
