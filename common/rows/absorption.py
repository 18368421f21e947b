"""Absorbed records: consumed records that are neither rows nor rejections, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class AbsorbedReason(StrEnum):
    """Why a record was absorbed; the order of the members is part of the ledger's digest."""

    FILTERED = "filtered"
    """The schema says to ignore records of this kind, for example heartbeats."""
    TOMBSTONE = "tombstone"
    """The record has no value."""
    JOINED = "joined"
    """The record's values were joined to the row of another record."""
    NO_ROWS = "no_rows"
    """The record's array of rows is empty."""


ABSORBED_REASONS = tuple(AbsorbedReason)
"""The reason numbers in `AbsorbedRecords.reason` are positions in this tuple plus 1."""
_NUMBER_OF_REASON = {reason: number for number, reason in enumerate(ABSORBED_REASONS, start=1)}
ABSORBED_TEXTS = {
    AbsorbedReason.FILTERED: "the schema ignores them",
    AbsorbedReason.TOMBSTONE: "they have no value",
    AbsorbedReason.JOINED: "their values were joined to rows",
    AbsorbedReason.NO_ROWS: "their array of rows is empty",
}
"""What each reason means, as the end of a sentence about records."""


@dataclass(frozen=True, slots=True)
class AbsorbedRecords:
    """The m absorbed records of a micro-batch."""

    index: NDArray[np.int64]
    """Shape (m,). Strictly rising positions of the records in the micro-batch."""
    reason: NDArray[np.uint8]
    """Shape (m,). Position of the reason in ABSORBED_REASONS plus 1."""

    def __len__(self) -> int:
        """Return the number of absorbed records."""
        return len(self.index)


NO_ABSORBED_RECORDS = AbsorbedRecords(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8))
"""The absorbed records of a micro-batch that has none."""


def absorbed_records(reasons: Sequence[tuple[int, AbsorbedReason]]) -> AbsorbedRecords:
    """Return absorbed records from the position and the reason of each, in order."""
    numbers = [(position, _NUMBER_OF_REASON[reason]) for position, reason in reasons]
    index, reason = np.asarray(numbers, dtype=np.int64).reshape(-1, 2).T
    return AbsorbedRecords(index, reason.astype(np.uint8))
