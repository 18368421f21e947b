"""Find the column, or the two columns, that contain the time of each row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import short_printable
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import CLOCK_ONLY, TimeGuess, guess_time

_TIME_NAMES = re.compile(
    r"time|date|epoch|stamp|clock|utc|recorded|observed|zeit|datum|fecha|heure|hora|tijd"
    r"|(?:^|[^a-z])(?:ts|t|at|dt|when)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_MAX_CELLS = 2_000
_MAX_UNNAMED_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """The columns of the time, and the format of their joined texts."""

    names: tuple[str, ...]
    guess: TimeGuess


def find_time(table: Table, *, names: Sequence[str] = ()) -> TimeColumns:
    """Return the columns of the time; `names`: the columns, if the user gives them.

    Raises DataError if there are none, with the reason.
    """
    candidates = [tuple(names)] if names else list(_candidates(table))
    for columns in candidates:
        texts = joined_cells(table, columns)[:_MAX_CELLS]
        suggests_time = bool(names) or any(_TIME_NAMES.search(name) for name in columns)
        guess = guess_time([text for text in texts if text], name_suggests_time=suggests_time)
        if guess is not None:
            return TimeColumns(columns, guess)
    raise DataError(_no_time_message(table))


def joined_cells(table: Table, names: Sequence[str]) -> list[str]:
    """Return the cells of the columns in each row, joined by a space."""
    columns = [table.cells(name) for name in names]
    return [" ".join(cells).strip() for cells in zip(*columns, strict=True)]


def _candidates(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield columns to try: pairs of date and time first, then columns named like a time."""
    unique_names = [name for name in table.names if name and table.names.count(name) == 1]
    suggested = [name for name in unique_names if _TIME_NAMES.search(name)]
    others = [name for name in unique_names if name not in suggested]
    pairs = list(_date_and_clock(table, [*suggested, *others[:_MAX_UNNAMED_COLUMNS]]))
    yield from pairs
    yield from ((name,) for name in suggested)
    yield from ((name,) for name in others)


def _date_and_clock(table: Table, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each pair of a column of dates and a column of times of day."""
    first_texts = {name: next((cell for cell in table.cells(name) if cell), "") for name in names}
    clocks = [name for name, text in first_texts.items() if _is_clock(name, text)]
    dates = [
        name
        for name, text in first_texts.items()
        if name not in clocks
        and re.fullmatch(r"\d{1,4}[-/. ][A-Za-z\d]{1,9}[-/. ]\d{1,4}|\d{8}", text) is not None
    ]
    for clock in clocks:
        for date in dates:
            yield date, clock


def _is_clock(name: str, text: str) -> bool:
    """Return whether a text is a time of day; 21.29 is one only if the name suggests a time."""
    is_certain = ":" in text or text.count(".") == 2 or _TIME_NAMES.search(name) is not None
    return is_certain and CLOCK_ONLY.fullmatch(text) is not None


def _no_time_message(table: Table) -> str:
    first_row = short_printable(
        ", ".join(
            f"{name}={cell.strip()}" for name, cell in zip(table.names, table.rows[0], strict=True)
        )
    )
    clocks = [
        name
        for name in table.names
        if name
        and any(texts := [cell for cell in table.cells(name)[:20] if cell])
        and all(_is_clock(name, text) for text in texts)
    ]
    if clocks:
        return (
            f"the times in {clocks[0]!r} have no date, and no other column has one; the first row "
            f"is {first_row}. Add a column with the date of each row"
        )
    if len(table.names) == 1:
        return (
            "only one column, and it contains no times; no delimiter among a comma, a semicolon, a "
            f'tab, "|" and spaces splits the lines; the first row is {first_row}'
        )
    return (
        f"no column of times that is recognised; the first row is {first_row}. Name the column "
        "with --time, and its format with --time-format, for example a strptime pattern"
    )
