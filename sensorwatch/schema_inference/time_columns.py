"""Find the column, or the columns, that contain the time of each row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import short_printable
from sensorwatch.schema_inference.calendar_columns import (
    CalendarColumns,
    date_and_clock,
    parts_of_date,
    suggests_time,
)
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import TimeGuess, guess_time
from sensorwatch.schema_inference.time_hints import no_time_message

_MAX_CELLS = 2_000
_MAX_UNNAMED_COLUMNS = 40
_MAX_PAIRS = 100


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """The columns of the time, and the format of their joined texts."""

    names: tuple[str, ...]
    guess: TimeGuess


def find_time(
    table: Table, *, names: Sequence[str] = (), time_format: str | None = None
) -> TimeColumns:
    """Return the columns of the time; `names`, `time_format`: what the user gives.

    Raises DataError if there are none, with the reason.
    """
    candidates = [CalendarColumns(tuple(names), "")] if names else list(_candidates(table))
    for columns in candidates:
        texts = joined_cells(table, columns.names)[:_MAX_CELLS]
        guess = guess_time(
            [text for text in texts if text],
            name_suggests_time=bool(names) or any(map(suggests_time, columns.names)),
            only_format=time_format or columns.format or None,
        )
        if guess is not None:
            return TimeColumns(columns.names, guess)
    if names or time_format:
        raise DataError(_wrong_option_message(table, names, time_format))
    raise DataError(no_time_message(table))


def joined_cells(table: Table, names: Sequence[str]) -> list[str]:
    """Return the cells of the columns in each row, joined by a space."""
    columns = [table.cells(name) for name in names]
    return [" ".join(cells).strip() for cells in zip(*columns, strict=True)]


def _candidates(table: Table) -> Iterator[CalendarColumns]:
    """Yield columns to try: pairs of date and time first, then columns named like a time."""
    counts = Counter(table.names)
    unique_names = [name for name, count in counts.items() if name and count == 1]
    names_like_time = [name for name in unique_names if suggests_time(name)]
    other_names = [name for name in unique_names if not suggests_time(name)]
    pairs = date_and_clock(table, [*names_like_time, *other_names[:_MAX_UNNAMED_COLUMNS]])
    yield from (CalendarColumns(pair, "") for pair in islice(pairs, _MAX_PAIRS))
    yield from (CalendarColumns((name,), "") for name in names_like_time)
    yield from parts_of_date(table, unique_names)
    yield from (CalendarColumns((name,), "") for name in other_names)


def _wrong_option_message(table: Table, names: Sequence[str], time_format: str | None) -> str:
    shown_names = ", ".join(map(repr, names)) or "no column"
    example = next(filter(None, joined_cells(table, names)), "no text") if names else ""
    wanted = f"the format {time_format}" if time_format else "a known format; give --time-format"
    if not names:
        return f"no column has times in {wanted}; --time names the column"
    return f"the times in {shown_names} are not in {wanted}: found {short_printable(example)}"
