"""Data classes for the expected and the actual output of a run."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.kafka.records import Coordinates, Partition


class RecordOutcome(StrEnum):
    """The possible outcomes of an input record."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    DEAD_LETTER = "dead letter"
    ABSORBED = "absorbed"


@dataclass(frozen=True, slots=True)
class ExpectedOutcome:
    """The outcome that an input record should have, computed by scoring it again."""

    offset: int
    record_outcome: RecordOutcome
    key: bytes | None = None
    """Key of the event or dead letter; None for a normal record."""
    value: bytes | None = None
    reason: str | None = None
    """The reason code of a dead letter."""
    has_event: bool = True
    """False for an anomaly without an event, because of the setting `emit = "episodes"`."""


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """The end of an episode; an event should report it."""

    episode: int
    """Offset of the first anomalous record of the episode."""
    offset: int
    """Offset of the record that ended the episode."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class EpisodeNotice:
    """A rise or an acceptance of an open episode; an event should report it."""

    event_id: str
    offset: int
    """Offset of the record that caused the event."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A published record: an event of an anomaly, an episode's end or notice, or a dead letter."""

    coordinates: Coordinates
    source: Coordinates
    """The input record to which the published record refers."""
    key: bytes | None = None
    value: bytes | None = None
    reason: str | None = None
    truncated: bool = False
    """True for a dead letter with the header that reports a truncated value."""
    episode: Coordinates | None = None
    """The first record of the episode; None unless the record is the event of an ended episode."""
    notice: str | None = None
    """The event id; None unless the record is a notice, see `EpisodeNotice`."""


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """The records that a read_committed reader returned, in reading order."""

    events: tuple[OutputRecord, ...] = ()
    """Events of anomalies, events of ended episodes, and notices."""
    dead_letters: tuple[OutputRecord, ...] = ()

    @property
    def detections(self) -> tuple[OutputRecord, ...]:
        """The events of anomalies."""
        return tuple(
            record for record in self.events if record.episode is None and record.notice is None
        )

    @property
    def episode_ends(self) -> tuple[OutputRecord, ...]:
        """The events of ended episodes."""
        return tuple(record for record in self.events if record.episode is not None)

    @property
    def notices(self) -> tuple[OutputRecord, ...]:
        """The events of open episodes that rose or were accepted."""
        return tuple(record for record in self.events if record.notice is not None)


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
    """The offset of the first record that the account counts."""
    absorbed: int = 0
    rows: int | None = None
    """Number of scored rows; by default one for each normal or anomalous record."""


@dataclass(frozen=True, slots=True)
class InputPartition:
    """An input partition: its expected outcomes, committed offset and account."""

    partition: Partition
    expected_outcomes: tuple[ExpectedOutcome, ...]
    """One outcome for each record, in offset order, from the first offset of the group on."""
    committed_offset: int | None
    """The committed offset of the group; None before the first commit."""
    account: FinalAccount | None
    digest: int | None
    """The digest that the account should have, from scoring the committed records again."""
    required_offset: int | None = None
    """The offset that the group had to commit; None means that any offset is correct."""
    episode_ends: tuple[EpisodeEnd, ...] = ()
    """The ends of the partition's episodes, in offset order."""
    notices: tuple[EpisodeNotice, ...] = ()
    """The rises and acceptances of the partition's episodes, in offset order."""


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
    """All output records, read after the run."""
    output_during_run: ReaderOutput
    """The output records that a concurrent reader read during the run."""
    output_ends: tuple[EndOffsets, ...]
