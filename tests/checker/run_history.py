"""What is known after a run, as plain values: what should have come out and what did."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.kafka.records import Coordinates, Partition


class RecordOutcome(StrEnum):
    """The three ways in which an input record may end."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Expected:
    """How the input record at `offset` must end, found by scoring it again."""

    offset: int
    record_outcome: RecordOutcome
    key: bytes | None = None
    """Of the event or dead letter; a normal record leaves neither."""
    value: bytes | None = None
    reason: str | None = None
    """Of a dead letter: its reason code."""
    has_event: bool = True
    """False: an anomaly without an event of its own, since not every row of an episode is told."""


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """The end of an episode, which an event has to tell, found by scoring again."""

    episode: int
    """Offset of its first anomalous record."""
    offset: int
    """Offset of the record with which it ended."""
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A record that came out: an event, of a record or of an episode's end, or a dead letter."""

    at: Coordinates
    source: Coordinates
    """The input record it says it is the outcome of, or with which it says the episode ended."""
    key: bytes | None = None
    value: bytes | None = None
    reason: str | None = None
    truncated: bool = False
    """A dead letter that says its value was cut to fit."""
    episode: Coordinates | None = None
    """Of an episode's end: the input record with which it says the episode began."""


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """What a read_committed reader got, in the order in which it got it."""

    events: tuple[OutputRecord, ...] = ()
    """Of records and of episodes' ends."""
    dead_letters: tuple[OutputRecord, ...] = ()

    @property
    def detections(self) -> tuple[OutputRecord, ...]:
        """The events of records."""
        return tuple(one for one in self.events if one.episode is None)

    @property
    def episode_ends(self) -> tuple[OutputRecord, ...]:
        """The events of episodes' ends."""
        return tuple(one for one in self.events if one.episode is not None)


@dataclass(frozen=True, slots=True)
class FinalAccount:
    """The ledger's account found in the metadata of a partition's committed offset."""

    next_offset: int
    consumed: int
    normal: int
    anomalies: int
    dead_letters: int
    digest: int
    first_offset: int = 0
    """What lies before counts in an account that was given up."""


@dataclass(frozen=True, slots=True)
class InputPartition:
    """One input partition: its records, what became of them, and how far the group says it is."""

    partition: Partition
    expected: tuple[Expected, ...]
    """One for every record from the group's first offset on, rising by offset."""
    committed: int | None
    """The group's committed offset, or None."""
    account: FinalAccount | None
    digest: int | None
    """The digest over the records below `committed`, computed anew."""
    until: int | None = None
    """The offset that the run had to reach, where it had to reach one."""
    episode_ends: tuple[EpisodeEnd, ...] = ()
    """The ends of episodes, rising by offset."""


@dataclass(frozen=True, slots=True)
class EndOffsets:
    """The end of an output partition as readers of committed and of all records see it."""

    partition: Partition
    committed: int
    uncommitted: int


@dataclass(frozen=True, slots=True)
class History:
    """All that the checker judges."""

    inputs: tuple[InputPartition, ...]
    afterwards: ReaderOutput
    """One pass over the output from its beginning, when all was quiet."""
    during: ReaderOutput
    """What a reader saw that read from the beginning while the faults happened."""
    ends: tuple[EndOffsets, ...]
