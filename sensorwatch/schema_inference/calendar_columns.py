"""Find columns that contain parts of the time: a date and an hour, or a year, a month and a day."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import CLOCK_ONLY

_TIME_NAMES = re.compile(
    r"time|date|epoch|unix|stamp|clock|utc|recorded|observed|zeit|datum|fecha|heure|hora|tijd"
    r"|(?:^|[^a-z])(?:ts|t|at|dt|when)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{1,4}[-/. ][A-Za-z\d]{1,9}[-/. ]\d{1,4}|\d{8}")
_DATE_AND_CLOCK = re.compile(r"\d.*[T ]\d{1,2}[:.]\d\d.*")
_HOUR_NAME = re.compile(r"(?:hours?|hrs?|hh|stunde|heure|hora|ora|uur)(?:ending|ofday|utc|local)?")
_CLOCK_NAME = re.compile(r"(?:time|clock|hhmm|hrmn|hourmin|hourminute|zeit)(?:hhmm|utc|local|lst)?")
_PARTS_OF_DATE = (
    ("%Y", re.compile(r"year|yr|yyyy|jahr|ano|annee")),
    ("%m", re.compile(r"month|mon|mo|monat|mes|mois")),
    ("%d", re.compile(r"day|dy|dd|dayofmonth|tag|dia|jour")),
)
_DAY_OF_YEAR = re.compile(r"doy|dayofyear|yday|jday|julianday")
_PARTS_OF_DAY = (
    ("%H", _HOUR_NAME),
    ("%M", re.compile(r"minutes?|mins?|mn")),
    ("%S", re.compile(r"seconds?|secs?|ss")),
)
_CELLS = 2_000


class CalendarColumns(NamedTuple):
    """Columns whose cells, joined by a space, are a time."""

    names: tuple[str, ...]
    format: str
    """The strptime pattern of the joined cells; empty if the cells show the format."""


def date_and_clock(table: Table, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each pair of a column of dates and a column of times of day or of hours.

    `names`: the columns to try, with those first whose name suggests a time.
    """
    first_texts = {name: _first_text(table, name) for name in names}
    clocks = [name for name, text in first_texts.items() if is_clock(name, text)]
    if not any(_DATE_AND_CLOCK.fullmatch(text) for text in first_texts.values()):
        clocks += [name for name in names if name not in clocks and _is_number_of_day(table, name)]
    dates = [name for name, text in first_texts.items() if _DATE.fullmatch(text) is not None]
    # A text such as 13.01.24 is a date or a time of day; only the right pair has readable times.
    for date in dates:
        for clock in clocks:
            if date != clock:
                yield date, clock


def suggests_time(name: str) -> bool:
    """Return whether a column's name contains a word for time."""
    return _TIME_NAMES.search(name) is not None


def is_clock(name: str, text: str) -> bool:
    """Return whether a text is a time of day; 21.29 is one only if the name suggests a time."""
    is_certain = ":" in text or text.count(".") == 2 or suggests_time(name)
    return is_certain and CLOCK_ONLY.fullmatch(text) is not None


def parts_of_date(table: Table, names: Sequence[str]) -> Iterator[CalendarColumns]:
    """Yield the columns of year, month and day, or of year and day of the year, with the clock."""
    year, month, day = (_column(names, name) for _, name in _PARTS_OF_DATE)
    if year is None:
        return
    year_directive = "%y" if len(_first_text(table, year)) == 2 else "%Y"
    clock = _clock_columns(names)
    if month is not None and day is not None:
        yield _joined([(year, year_directive), (month, "%m"), (day, "%d"), *clock])
    day_of_year = _column(names, _DAY_OF_YEAR)
    if day_of_year is not None:
        yield _joined([(year, year_directive), (day_of_year, "%j"), *clock])
    if month is not None and day is None and not clock:
        yield _joined([(year, year_directive), (month, "%m")])


def _joined(columns: Sequence[tuple[str, str]]) -> CalendarColumns:
    names, directives = zip(*columns, strict=True)
    return CalendarColumns(names, " ".join(directives))


def _clock_columns(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the columns of hour, minute and second with their directives, as far as they exist."""
    columns = []
    for directive, part_name in _PARTS_OF_DAY:
        column = _column(names, part_name)
        if column is None:
            break
        columns.append((column, directive))
    return columns


def _column(names: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    return next((name for name in names if pattern.fullmatch(_plain(name))), None)


def _is_number_of_day(table: Table, name: str) -> bool:
    """Return whether the cells are hours from 0 to 24, or times of day such as 0930."""
    plain_name = _plain(name)
    texts = [text for text in table.cells(name)[:_CELLS] if text]
    if not texts or not all(text.isascii() and text.isdigit() for text in texts):
        return False
    if _HOUR_NAME.fullmatch(plain_name):
        return all(len(text) <= 2 and int(text) <= 24 for text in texts)
    is_clock_name = _CLOCK_NAME.fullmatch(plain_name) is not None
    return is_clock_name and len(texts[0]) in (4, 6) and len(set(map(len, texts))) == 1


def _first_text(table: Table, name: str) -> str:
    return next((cell for cell in table.cells(name) if cell), "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.rpartition(".")[2].casefold())
