"""What comes back at the same time of every day or week, beyond what the rows before tell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.kernels import inlined_kernel

DAY = 86_400_000_000
"""Microseconds."""
WEEK = 7 * DAY
MAX_BINS = 7 * 96


@dataclass(frozen=True, slots=True)
class Season:
    """A profile that is added to a forecast: constant within each bin of the period, in UTC."""

    profile: NDArray[np.float64]
    """(signals, bins) in scales."""
    period: int
    """Microseconds of the whole cycle."""

    @property
    def is_present(self) -> bool:
        """Whether the data showed one."""
        return bool(self.profile.shape[1] > 1)

    def to_plain(self) -> str:
        """Say in a word which one it is."""
        return ("day" if self.period == DAY else "week") if self.is_present else "none"

    def at(self, event_time: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what is added at times (n,), as (n, signals)."""
        return self.profile[:, bins_at(event_time, self.period, self.profile.shape[1])].T

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored: none where there is no season."""
        if not self.is_present:
            return {}
        period = np.asarray([self.period], dtype=np.int64)
        return {"season_profile": self.profile, "season_period": period}


def no_season(signals: int) -> Season:
    """Return the season of signals that have none: nothing is added."""
    return Season(np.zeros((signals, 1)), 1)


def season_from_arrays(arrays: dict[str, NDArray[Any]], signals: int) -> Season:
    """Build a season from stored arrays; raises ModelRefused where they are damaged."""
    profile, period = arrays.get("season_profile"), arrays.get("season_period")
    if profile is None and period is None:
        return no_season(signals)
    valid = (
        profile is not None
        and period is not None
        and profile.dtype == np.float64
        and profile.ndim == 2
        and profile.shape[0] == signals
        and 1 < profile.shape[1] <= MAX_BINS
        and bool(np.all(np.isfinite(profile)))
        and period.dtype == np.int64
        and period.shape == (1,)
        and int(period[0]) in (DAY, WEEK)
    )
    if not valid or profile is None or period is None:
        raise ModelRefused("the season's arrays are damaged")
    return Season(profile, int(period[0]))


def bins_at(event_time: NDArray[np.int64], period: int, bins: int) -> NDArray[np.int64]:
    """Return in which bin of the period each time (n,) lies."""
    bin_index: NDArray[np.int64] = event_time % period * bins // period
    return bin_index


bin_at = inlined_kernel(bins_at)
"""The same for one time, in a kernel."""
