"""The expected and the actual output of a run, as values."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.kafka.records import Coordinates, Partition


class RecordOutcome(StrEnum):
    """The outcomes of an input record."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Expected:
    """The outcome of the input record at `offset`, from scoring it again."""

    offset: int
    record_outcome: RecordOutcome
    key: bytes | None = None
    """Key of the event or dead letter; None for a normal record."""
    value: bytes | None = None
    reason: str | None = None
    """The reason code of a dead letter."""
    has_event: bool = True
    """False for an anomaly without an event, with `emit = "episodes"`."""


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """The end of an episode, which must have an event, from scoring again."""

    episode: int
    """Offset of its first anomalous record."""
    offset: int
    """Offset of the record that ended it."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A published record: an event of a row, an event of an episode's end, or a dead letter."""

    at: Coordinates
    source: Coordinates
    """The input record that it names as its source."""
    key: bytes | None = None
    value: bytes | None = None
    reason: str | None = None
    truncated: bool = False
    """Whether a dead letter has the header for a truncated value."""
    episode: Coordinates | None = None
    """The first record of the episode, if this is the event of an episode's end."""


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """The records that a read_committed reader got, in its order."""

    events: tuple[OutputRecord, ...] = ()
    """Events of rows and of episodes' ends."""
    dead_letters: tuple[OutputRecord, ...] = ()

    @property
    def detections(self) -> tuple[OutputRecord, ...]:
        """The events of rows."""
        return tuple(one for one in self.events if one.episode is None)

    @property
    def episode_ends(self) -> tuple[OutputRecord, ...]:
        """The events of episodes' ends."""
        return tuple(one for one in self.events if one.episode is not None)


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
    expected: tuple[Expected, ...]
    """One for every record from the group's first offset on, rising by offset."""
    committed: int | None
    """The group's committed offset, or None."""
    account: FinalAccount | None
    digest: int | None
    """The digest of the records below `committed`, computed again."""
    until: int | None = None
    """The offset that the run had to reach, if any."""
    episode_ends: tuple[EpisodeEnd, ...] = ()
    """The ends of episodes, rising by offset."""


@dataclass(frozen=True, slots=True)
class EndOffsets:
    """The end offsets of an output partition for read_committed and for read_uncommitted."""

    partition: Partition
    committed: int
    uncommitted: int


@dataclass(frozen=True, slots=True)
class History:
    """The input of the checker."""

    inputs: tuple[InputPartition, ...]
    afterwards: ReaderOutput
    """The output, read from its beginning after the run."""
    during: ReaderOutput
    """The output, read from its beginning during the run."""
    ends: tuple[EndOffsets, ...]
