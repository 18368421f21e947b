"""The offsets of one time zone from UTC, as a table that a model version stores."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.stored_arrays import require, stored_array
from sensorwatch.common.rows.zone_changes import zone_changes

SECOND = 1_000_000
"""One second in microseconds."""
MAX_OFFSET = 24 * 3_600 * SECOND
"""Largest offset from UTC that is accepted, in microseconds."""


@dataclass(frozen=True, slots=True)
class CivilClock:
    """The offsets of civil time from UTC, and the instants at which the offset changes.

    A model version stores the table, so its scores do not depend on the installed time zone
    database.
    """

    changes: NDArray[np.int64]
    """Shape (changes,). Rising instants in microseconds UTC."""
    offsets: NDArray[np.int64]
    """Shape (changes + 1,). Offset from UTC in microseconds, before and after each change."""

    def local_time(self, event_time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the civil time (n,) of event times (n,), both in microseconds since 1970."""
        if len(self.changes) == 0:
            return np.asarray(event_time + self.offsets[0])
        offsets = self.offsets[np.searchsorted(self.changes, event_time, side="right")]
        return np.asarray(event_time + offsets)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the stored arrays of the clock by name; empty if its civil time is UTC."""
        if not self.offsets.any():
            return {}
        return {"season_clock_changes": self.changes, "season_clock_offsets": self.offsets}


UTC_CLOCK = CivilClock(np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64))


@cache
def civil_clock(zone: str) -> CivilClock:
    """Return the clock of an IANA zone; raises ValueError if no zone has this name."""
    changes = zone_changes(zone)
    return CivilClock(
        SECOND * np.asarray(changes.instants, dtype=np.int64),
        SECOND * np.asarray(changes.offsets, dtype=np.int64),
    )


def clock_from_arrays(arrays: dict[str, NDArray[Any]]) -> CivilClock:
    """Build a clock from stored arrays; raises ModelRefused if one of them is wrong.

    A model that has neither of the two arrays uses UTC.
    """
    if "season_clock_changes" not in arrays and "season_clock_offsets" not in arrays:
        return UTC_CLOCK
    changes = stored_array(arrays, "season_clock_changes", np.int64, (None,))
    offsets = stored_array(arrays, "season_clock_offsets", np.int64, (len(changes) + 1,))
    require(
        np.all(np.diff(changes) > 0),
        "season_clock_changes",
        actual="instants that do not rise",
        wanted="rising ones",
    )
    require(
        np.all(np.abs(offsets) <= MAX_OFFSET),
        "season_clock_offsets",
        actual=f"an offset of {np.abs(offsets).max()} us",
        wanted=f"at most {MAX_OFFSET}",
    )
    return CivilClock(changes, offsets)
