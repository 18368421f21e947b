"""The stored daily or weekly profile that is added to a forecast."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.civil_clock import UTC_CLOCK, CivilClock, clock_from_arrays
from sensorwatch.common.model.stored_arrays import require, stored_array

DAY = 86_400_000_000
"""One day in microseconds."""
WEEK = 7 * DAY
"""One week in microseconds."""
MAX_BINS = 7 * 96
"""Largest number of bins: a week of quarter hours."""


@dataclass(frozen=True, slots=True)
class Season:
    """A periodic profile of each signal: one value for each bin of a day or week."""

    profile: NDArray[np.float64]
    """Shape (signals, bins). Values that are added to the forecast of standardised signals."""
    period: int
    """Length of one cycle in microseconds: DAY, WEEK, or 1 if there is no season."""
    clock: CivilClock = UTC_CLOCK
    """The civil time by which days and weeks begin."""

    @property
    def is_present(self) -> bool:
        """True if training selected a season."""
        return bool(self.profile.shape[1] > 1)

    def to_plain(self) -> str:
        """Return the name of the period: "day", "week" or "none"."""
        return ("day" if self.period == DAY else "week") if self.is_present else "none"

    def at(self, event_time: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the profile's values (n, signals) at event times (n,), in microseconds UTC."""
        return self.profile[:, self.phases(event_time)].T

    def phases(self, event_time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index (n,) of the profile's bin at event times (n,), in microseconds UTC."""
        if not self.is_present:
            return np.zeros(len(event_time), dtype=np.int64)
        return bins_at(self.clock.local_time(event_time), self.period, self.profile.shape[1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the stored arrays of the season by name; empty if there is no season."""
        if not self.is_present:
            return {}
        period = np.asarray([self.period], dtype=np.int64)
        stored_arrays = {"season_profile": self.profile, "season_period": period}
        return stored_arrays | self.clock.arrays()


def no_season(signals: int) -> Season:
    """Return a season that adds 0 to the forecast of every signal."""
    return Season(np.zeros((signals, 1)), 1)


def season_from_arrays(arrays: dict[str, NDArray[Any]], signals: int) -> Season:
    """Build a season from stored arrays; raises ModelRefused if one of them is wrong.

    A model that has neither of the two arrays has no season.
    """
    if "season_profile" not in arrays and "season_period" not in arrays:
        return no_season(signals)
    profile = stored_array(arrays, "season_profile", np.float64, (signals, None))
    (period,) = stored_array(arrays, "season_period", np.int64, (1,)).tolist()
    bins = profile.shape[1]
    require(
        1 < bins <= MAX_BINS, "season_profile", actual=f"{bins} bins", wanted=f"2 to {MAX_BINS}"
    )
    require(
        period in (DAY, WEEK),
        "season_period",
        actual=f"a period of {period} us",
        wanted=f"a day ({DAY}) or a week ({WEEK})",
    )
    return Season(profile, period, clock_from_arrays(arrays))


def bins_at(local_time: NDArray[np.int64], period: int, bins: int) -> NDArray[np.int64]:
    """Return the index (n,) of the bin that contains each civil time (n,), in microseconds."""
    bin_index: NDArray[np.int64] = local_time % period * bins // period
    return bin_index
