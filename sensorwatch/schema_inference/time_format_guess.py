"""Guess the time format of a column of texts."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from sensorwatch.common.rows.cells import parse_number_cell
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, number_of, time_reader

_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%b-%y", "%Y%m%d"),
)
_CLOCKS = (
    *("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p"),
    *("%H.%M.%S", "%H.%M", "%H:%M:%S%z", "%H:%M:%S %z"),
)
STRPTIME_PATTERNS = (
    *(f"{date}{separator}{clock}" for date in _DATES for separator in " T" for clock in _CLOCKS),
    *_DATES,
    *(
        "%Y%m%d%H%M%S",
        "%Y%m%d%H%M",
        "%Y%m%dT%H%M%S",
        "%Y%m%d %H%M%S",
        "%Y%m%d %H%M",
        "%a %b %d %H:%M:%S %Y",
        "%d/%b/%Y:%H:%M:%S %z",
    ),
)
"""The patterns to try. If several patterns fit a column equally well, the first of them is used."""
# strptime accepts months, hours and so on of one digit, so without a fixed length, it would read
# any integer of 6 to 14 digits as a time.
_EXACT_LENGTHS = {
    "%Y%m%d%H%M%S": 14,
    "%Y%m%d%H%M": 12,
    "%Y%m%d": 8,
    **{f"%Y%m%d{separator}%H%M%S": 15 for separator in " T"},
    **{f"%Y%m%d{separator}%H%M": 13 for separator in " T"},
}
CLOCK_ONLY = re.compile(r"\d{1,2}[:.h]\d{2}(?:[:.]\d{1,2}(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?")
"""A time of day without a date."""
_SWAP_DAY_AND_MONTH = str.maketrans("dm", "md")
_TIME_SHAPE = re.compile(r"(?=(?:\D*\d){4})[\w :/.,+-]{6,40}")
_MIN_READABLE_SHARE = 0.95
# The ranges cover the years 1973 to 2096. Smaller numbers are probably counters; larger numbers are
# times in another unit.
_EPOCH_RANGES = {
    "epoch_s": (1e8, 4e9),
    "epoch_ms": (1e11, 4e12),
    "epoch_us": (1e14, 4e15),
    "epoch_ns": (1e17, 4e18),
}
_EXCEL_RANGE = (20_000.0, 80_000.0)  # the years 1954 to 2119
_FIRST_CELLS = 3


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """A time format that fits a column."""

    format: str
    naive: bool
    """True if at least one time has no zone."""
    alternative: str = ""
    """Another format that fits equally well, or an empty text."""


def guess_time(
    cells: Sequence[str], *, name_suggests_time: bool, only_format: str | None = None
) -> TimeGuess | None:
    """Return the time format of a column's non-empty cells, or None if they are not times.

    `name_suggests_time`: the column's name contains a word for time, so plain numbers may be times.
    `only_format`: the format that the user gives.
    """
    if only_format is not None:
        return _guess_given_format(cells, only_format)
    if name_suggests_time and (epoch_format := _guess_epoch(cells)):
        return TimeGuess(epoch_format, naive=epoch_format == "excel_days")
    if not any(_TIME_SHAPE.fullmatch(cell) for cell in cells[:_FIRST_CELLS]):
        return None
    fits = [
        fit
        for time_format in ("rfc3339", *_patterns_of(cells))
        if (fit := _fit_format(cells, time_format)) is not None
    ]
    if not fits:
        return None
    # The same format with day and month exchanged may read the cells, too. With the right format,
    # the times of successive rows increase in equal steps.
    best_fit = max(fits, key=lambda fit: fit.quality)
    naive = _readable_share(cells, TimeField(format=(best_fit.format,))) < best_fit.quality[0]
    equal_fits = [fit for fit in fits if fit.quality == best_fit.quality]
    swapped_format = best_fit.format.translate(_SWAP_DAY_AND_MONTH)
    if swapped_format != best_fit.format and any(
        fit.format == swapped_format for fit in equal_fits
    ):
        alternative = swapped_format
    else:
        other_times = (fit.format for fit in equal_fits if fit.times != best_fit.times)
        alternative = next(other_times, "")
    return TimeGuess(best_fit.format, naive=naive, alternative=alternative)


def cell_time_reader(guess: TimeGuess) -> Callable[[str], int]:
    """Return a function that reads a time in microseconds UTC; a time without a zone counts as UTC.

    The function raises BadTime for a text that is not a time.
    """
    read_time = time_reader(TimeField(format=(guess.format,), naive_zone="UTC"))
    return lambda text: read_time(number_of(text), None)


def _guess_given_format(cells: Sequence[str], time_format: str) -> TimeGuess | None:
    share = _readable_share(cells, TimeField(format=(time_format,), naive_zone="UTC"))
    if share < _MIN_READABLE_SHARE:
        return None
    has_zones = _readable_share(cells, TimeField(format=(time_format,))) == share
    return TimeGuess(time_format, naive=not has_zones)


class _Fit(NamedTuple):
    """How well a format reads a column."""

    format: str
    quality: tuple[float, float, float]
    """The shares of readable cells, of steps without a decrease, and of the most frequent step."""
    times: list[int]


def _patterns_of(cells: Sequence[str]) -> list[str]:
    """Return the patterns that can read one of the first cells."""
    first_cells = cells[:_FIRST_CELLS]
    return [
        pattern
        for pattern in STRPTIME_PATTERNS
        if _readable_share(first_cells, TimeField(format=(pattern,), naive_zone="UTC")) > 0
    ]


def _guess_epoch(cells: Sequence[str]) -> str | None:
    numbers = [parse_number_cell(cell) for cell in cells]
    for time_format, (low, high) in (*_EPOCH_RANGES.items(), ("excel_days", _EXCEL_RANGE)):
        fits = [isinstance(value, float) and low <= value <= high for value in numbers]
        if sum(fits) >= _MIN_READABLE_SHARE * len(cells) > 0:
            return time_format
    return None


def _fit_format(cells: Sequence[str], time_format: str) -> _Fit | None:
    """Return how well a format reads the cells, or None if it cannot read enough of them."""
    time_field = TimeField(format=(time_format,), naive_zone="UTC")
    # Most formats cannot read the first 20 cells, so trying these cells first saves time.
    if _readable_share(cells[:20], time_field) < _MIN_READABLE_SHARE:
        return None
    times = _read_times(cells, time_field)
    if len(times) < _MIN_READABLE_SHARE * len(cells):
        return None
    steps = [time - previous_time for previous_time, time in pairwise(times)]
    rising_count = sum(step >= 0 for step in steps)
    usual_count = Counter(steps).most_common(1)[0][1] if steps else 0
    step_count = max(1, len(steps))
    quality = (len(times) / len(cells), rising_count / step_count, usual_count / step_count)
    return _Fit(time_format, quality, times)


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
