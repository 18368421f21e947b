"""Find the column, or the two columns, that contain the time of each row."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

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
    candidates = [tuple(names)] if names else list(_candidates(table))
    for columns in candidates:
        texts = joined_cells(table, columns)[:_MAX_CELLS]
        suggests_time = bool(names) or any(_TIME_NAMES.search(name) for name in columns)
        filled_texts = [text for text in texts if text]
        guess = guess_time(filled_texts, name_suggests_time=suggests_time, only_format=time_format)
        if guess is not None:
            return TimeColumns(columns, guess)
    if names or time_format:
        raise DataError(_wrong_option_message(table, names, time_format))
    raise DataError(_no_time_message(table))


def joined_cells(table: Table, names: Sequence[str]) -> list[str]:
    """Return the cells of the columns in each row, joined by a space."""
    columns = [table.cells(name) for name in names]
    return [" ".join(cells).strip() for cells in zip(*columns, strict=True)]


def _candidates(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield columns to try: pairs of date and time first, then columns named like a time."""
    counts = Counter(table.names)
    unique_names = [name for name, count in counts.items() if name and count == 1]
    names_like_time = [name for name in unique_names if _TIME_NAMES.search(name)]
    other_names = [name for name in unique_names if not _TIME_NAMES.search(name)]
    pairs = _date_and_clock(table, [*names_like_time, *other_names[:_MAX_UNNAMED_COLUMNS]])
    yield from islice(pairs, _MAX_PAIRS)
    yield from ((name,) for name in names_like_time)
    yield from ((name,) for name in other_names)


def _date_and_clock(table: Table, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each pair of a column of dates and a column of times of day."""
    first_texts = {name: next((cell for cell in table.cells(name) if cell), "") for name in names}
    clocks = [name for name, text in first_texts.items() if _is_clock(name, text)]
    dates = [
        name
        for name, text in first_texts.items()
        if re.fullmatch(r"\d{1,4}[-/. ][A-Za-z\d]{1,9}[-/. ]\d{1,4}|\d{8}", text) is not None
    ]
    # A text such as 13.01.24 is a date or a time of day; only the right pair has readable times.
    for date in dates:
        for clock in clocks:
            if date != clock:
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
            'there is only one column, and it contains no times. No comma, semicolon, tab, "|" '
            f"or space splits the lines. The first row is {first_row}. To name another delimiter, "
            "give --delimiter"
        )
    hint = _epoch_hint(table) or (
        "Name the column with --time, and its format with --time-format, for example a strptime "
        "pattern"
    )
    return f"no column of times that is recognised; the first row is {first_row}. {hint}"


def _epoch_hint(table: Table) -> str:
    """Return a sentence about the first column whose numbers could be times, or an empty text."""
    for name in dict.fromkeys(table.names[:_MAX_UNNAMED_COLUMNS]):
        texts = [cell for cell in table.cells(name)[:_MAX_CELLS] if cell] if name else []
        guess = guess_time(texts, name_suggests_time=True)
        if guess is not None:
            return f"The numbers of {name!r} could be times ({guess.format}); --time {name} uses it"
    return ""


def _wrong_option_message(table: Table, names: Sequence[str], time_format: str | None) -> str:
    shown_names = ", ".join(map(repr, names)) or "no column"
    example = next(filter(None, joined_cells(table, names)), "no text") if names else ""
    wanted = f"the format {time_format}" if time_format else "a known format; give --time-format"
    if not names:
        return f"no column has times in {wanted}; --time names the column"
    return f"the times in {shown_names} are not in {wanted}: found {short_printable(example)}"
