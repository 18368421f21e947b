"""Guess the time format of a column of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sensorwatch.common.rows.cells import parse_number_cell
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, time_reader

# The strptime patterns to try. If several patterns fit a column equally well, the first of them is
# used.
STRPTIME_PATTERNS = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%d %H:%M:%S%z",
    "%a %b %d %H:%M:%S %Y",
)
# strptime accepts months, hours and so on of one digit, so without a fixed length, it would read
# any integer of 8 to 14 digits as a time.
_EXACT_LENGTHS = {"%Y%m%d%H%M%S": 14, "%Y%m%dT%H%M%S": 15}
_MIN_READABLE_SHARE = 0.95
# The ranges cover the years 1973 to 2096. Smaller numbers are probably counters; larger numbers are
# times in another unit.
_EPOCH_RANGES = {"epoch_s": (1e8, 4e9), "epoch_ms": (1e11, 4e12)}


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """A time format that fits a column."""

    format: str
    naive: bool
    """True if at least one time has no zone."""
    alternative: str = ""
    """Another format that fits equally well, or an empty text."""


def guess_time(cells: Sequence[str], *, name_suggests_time: bool) -> TimeGuess | None:
    """Return the time format of a column's non-empty cells, or None if they are not times.

    `name_suggests_time`: the column's name contains a word for time, so plain numbers may be times.
    """
    if name_suggests_time and (epoch_format := _guess_epoch(cells)):
        return TimeGuess(epoch_format, naive=False)
    fits = [
        (time_format, *fit)
        for time_format in ("rfc3339", *STRPTIME_PATTERNS)
        if (fit := _fit_format(cells, time_format))
    ]
    if not fits:
        return None
    # The same format with day and month exchanged may read the cells, too. Only in the right format
    # do the times of successive rows increase.
    best_fit = max(fits, key=lambda fit: (fit[1], fit[2]))
    best_formats = [
        time_format
        for time_format, share, rising_share in fits
        if (share, rising_share) == best_fit[1:]
    ]
    naive = _readable_share(cells, TimeField(format=(best_fit[0],))) < best_fit[1]
    return TimeGuess(
        best_fit[0], naive=naive, alternative=best_formats[1] if len(best_formats) > 1 else ""
    )


def _guess_epoch(cells: Sequence[str]) -> str | None:
    numbers = [parse_number_cell(cell) for cell in cells]
    for time_format, (low, high) in _EPOCH_RANGES.items():
        fits = [isinstance(value, float) and low <= value <= high for value in numbers]
        if sum(fits) >= _MIN_READABLE_SHARE * len(cells) > 0:
            return time_format
    return None


def _fit_format(cells: Sequence[str], time_format: str) -> tuple[float, float] | None:
    """Return the share of readable cells, and the share of steps between cells without a decrease.

    Return None if the format cannot read enough cells.
    """
    time_field = TimeField(format=(time_format,), naive_zone="UTC")
    # Most formats cannot read the first 20 cells, so trying these cells first saves time.
    if (
        _readable_share(cells[:20], time_field) < _MIN_READABLE_SHARE
        or _readable_share(cells, time_field) < _MIN_READABLE_SHARE
    ):
        return None
    times = _read_times(cells, time_field)
    rising_steps = sum(time >= previous for previous, time in pairwise(times))
    return len(times) / len(cells), rising_steps / max(1, len(times) - 1)


def _readable_share(cells: Sequence[str], time_field: TimeField) -> float:
    return len(_read_times(cells, time_field)) / len(cells) if cells else 0.0


def _read_times(cells: Sequence[str], time_field: TimeField) -> list[int]:
    read_time, times = time_reader(time_field), []
    exact_length = _EXACT_LENGTHS.get(time_field.formats[0])
    for cell in cells:
        if exact_length is not None and len(cell) != exact_length:
            continue
        try:
            times.append(read_time(cell, None))
        except BadTime:
            continue
    return times
