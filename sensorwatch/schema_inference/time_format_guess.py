"""Guess the time format of a column of texts."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, number_of, time_reader
from sensorwatch.schema_inference.time_pattern_filter import may_read

_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%b-%y", "%Y%m%d", "%Y-%j"),
    *("%d. %B %Y", "%a, %d %b %Y"),
)
_CLOCKS = (
    *("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p"),
    *("%H.%M.%S", "%H.%M", "%H:%M:%S%z", "%H:%M:%S %z"),
)
_CLOCKS_WITHOUT_COLON = ("%H", "%H%M", "%H%M%S")
_DIGITS_ONLY = ("%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S")
STRPTIME_PATTERNS = (
    *(f"{date}{separator}{clock}" for date in _DATES for separator in " T" for clock in _CLOCKS),
    *(f"{date} {clock}" for date in _DATES for clock in _CLOCKS_WITHOUT_COLON),
    *_DATES,
    *_DIGITS_ONLY,
    *("%Y%m%dT%H%M", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S%z", "%Y-%m-%d %H:%M:%S:%f"),
    *("%d-%b-%y %I.%M.%S.%f %p", "%a %b %d %H:%M:%S %Y", "%a %b %d %Y %H:%M:%S GMT%z"),
    *("%d/%b/%Y:%H:%M:%S %z", "%G-W%V-%u", "%G-W%V-%uT%H:%M", "%G-W%V-%uT%H:%M:%S"),
    *("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y"),
)
"""The patterns to try. If several patterns fit a column equally well, the first of them is used."""
_DIGITS = {"Y": r"\d{4}", "m": r"\d\d", "d": r"\d\d", "H": r"\d\d", "M": r"\d\d", "S": r"\d\d"}
"""The digits of the directives that strptime also reads with fewer digits."""
_PATTERN_PART = re.compile(r"%(?P<directive>\w)|(?P<literal>[^%])")
_ZONE_SUFFIX = re.compile(r"(?: [A-Z]{3,5}| ?\([^()%]*\)|\[[\w/+-]+\])$")
"""The name of a zone at the end of a time; strptime reads it only as a fixed text."""
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
    # From 1998 on: times since 1601 and since the year 1, as Windows and .NET have them in units of
    # 100 ns, are smaller numbers.
    "epoch_ns": (9e17, 4e18),
}
_EXCEL_RANGE = (20_000.0, 80_000.0)  # the years 1954 to 2119
_FIRST_CELLS = 3
_MAX_CHARACTERS = 80
"""A time has fewer characters."""


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """A time format that fits a column."""

    format: str
    naive: bool
    """True if at least one time has no zone."""
    alternative: str = ""
    """Another format that fits equally well, or an empty text."""
    zone_name: str = ""
    """The name of the zone behind each time, or an empty text."""


def guess_time(
    cells: Sequence[str], *, name_suggests_time: bool, only_format: str | None = None
) -> TimeGuess | None:
    """Return the time format of a column's non-empty cells, or None if they are not times.

    `name_suggests_time`: the column's name contains a word for time, so plain numbers may be times.
    `only_format`: the format that the user gives.
    """
    if only_format is not None:
        return _guess_given_format(cells, only_format)
    if name_suggests_time and (number_format := _guess_calendar(cells) or _guess_epoch(cells)):
        return TimeGuess(number_format, naive=number_format not in _EPOCH_RANGES)
    return _guess_text(cells) or _guess_with_zone_name(cells)


def _guess_text(
    cells: Sequence[str], named_formats: tuple[str, ...] = ("rfc3339",)
) -> TimeGuess | None:
    if not any(_TIME_SHAPE.fullmatch(cell) for cell in cells[:_FIRST_CELLS]):
        return None
    fits = [
        fit
        for time_format in (*named_formats, *_patterns_of(cells))
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


def _guess_with_zone_name(cells: Sequence[str]) -> TimeGuess | None:
    """Return the format of times that all end with the same name of a zone."""
    suffix = _ZONE_SUFFIX.search(cells[0][:_MAX_CHARACTERS]) if cells else None
    if suffix is None or not all(cell.endswith(suffix[0]) for cell in cells):
        return None
    guess = _guess_text([cell.removesuffix(suffix[0]) for cell in cells], named_formats=())
    if guess is None:
        return None
    alternative = f"{guess.alternative}{suffix[0]}" if guess.alternative else ""
    zone_name = suffix[0].strip(" ()[]")
    return TimeGuess(f"{guess.format}{suffix[0]}", guess.naive, alternative, zone_name)


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
        if (cells_to_read := [cell for cell in first_cells if may_read(pattern, cell)])
        and _readable_share(cells_to_read, TimeField(format=(pattern,), naive_zone="UTC")) > 0
    ]


def _guess_calendar(cells: Sequence[str]) -> str | None:
    """Return the format of times such as 2024030405, whose number is also one of an epoch."""
    for pattern in _DIGITS_ONLY:
        if _readable_share(cells, TimeField(format=(pattern,), naive_zone="UTC")) == 1.0:
            return pattern
    return None


def _guess_epoch(cells: Sequence[str]) -> str | None:
    numbers = [number_of(cell) for cell in cells]
    for time_format, (low, high) in (*_EPOCH_RANGES.items(), ("excel_days", _EXCEL_RANGE)):
        fits = [isinstance(value, int | float) and low <= value <= high for value in numbers]
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
    required_form = _required_form(time_field.formats[0])
    for cell in cells:
        if required_form is not None and (
            len(cell) > _MAX_CHARACTERS or required_form.fullmatch(cell) is None
        ):
            continue
        try:
            times.append(read_time(cell, None))
        except BadTime:
            continue
    return times


@lru_cache(maxsize=1024)
def _required_form(pattern: str) -> re.Pattern[str] | None:
    """Return the form of a text in a pattern with directives side by side or days of the year.

    strptime accepts months, hours and so on of one digit. Without a form, it would read any integer
    of 6 to 14 digits as a time.
    """
    if re.search(r"%[YmdHM]%[mdHMS]|-%j", pattern) is None:
        return None
    previous_end, parts = -1, list[str]()
    for match in _PATTERN_PART.finditer(pattern):
        directive = match["directive"]
        is_adjacent = previous_end == match.start() or pattern[match.end() : match.end() + 1] == "%"
        if directive is None:
            parts.append(re.escape(match[0]))
        elif directive == "j":
            parts.append(r"\d{3}")
        else:
            parts.append(_DIGITS.get(directive, ".+") if is_adjacent else r".+")
        previous_end = match.end() if directive else -1
    return re.compile("".join(parts))
