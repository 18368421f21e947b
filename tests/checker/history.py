"""What is known after a run, as plain values: what should have come out and what did."""

from dataclasses import dataclass
from enum import StrEnum

from common.messaging.records import Coordinates, Partition


class Ending(StrEnum):
    """The three ways in which an input record may end."""

    NORMAL = "normal"
    ANOMALY = "anomaly"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Expected:
    """How the input record at `offset` must end, found by scoring it again."""

    offset: int
    ending: Ending
    key: bytes | None = None
    """Of the event or dead letter; a normal record leaves neither."""
    value: bytes | None = None
    reason: str | None = None
    """Of a dead letter: its reason code."""


@dataclass(frozen=True, slots=True)
class Written:
    """A record that came out: an event or a dead letter."""

    at: Coordinates
    source: Coordinates
    """The input record it says it is the outcome of."""
    key: bytes | None = None
    value: bytes | None = None
    reason: str | None = None
    truncated: bool = False
    """A dead letter that says its value was cut to fit."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read_committed reader got, in the order in which it got it."""

    events: tuple[Written, ...] = ()
    dead_letters: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True)
class FinalAccount:
    """The ledger's account found in the metadata of a partition's committed offset."""

    next_offset: int
    consumed: int
    normal: int
    anomalies: int
    dead_letters: int
    digest: int


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
    afterwards: Reading
    """One pass over the output from its beginning, when all was quiet."""
    during: Reading
    """What a reader saw that read from the beginning while the faults happened."""
    ends: tuple[EndOffsets, ...]
