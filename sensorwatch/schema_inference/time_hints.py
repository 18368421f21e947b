"""The error for a table without readable times; its remedy depends on the form of the cells."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sensorwatch.common.rows.cells import parse_number_cell
from sensorwatch.common.rows.csv_format import SPACES
from sensorwatch.common.rows.rejection import short_printable
from sensorwatch.schema_inference.calendar_columns import is_clock
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import guess_time

_CELLS = 2_000
_COLUMNS = 40
_FIRST_CELLS = 20
_MAX_CHARACTERS = 2_000
_WRITE_ISO = "write each as a time such as 2025-01-01T00:00:00Z"
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_TEXT_FORMS = (
    (
        re.compile(rf"{_DATE}.{{0,20}} [-\u2013] {_DATE}.{{0,20}}"),
        "are intervals with a start and an end: write the start of each in a column of its own",
    ),
    (
        re.compile(rf"{_DATE}.{{0,20}} [A-Z]{{3,5}}"),
        "end with different names of zones: write the offset from UTC in place of each name",
    ),
    (
        re.compile(r"\\?/Date\(-?\d{1,17}([+-]\d{4})?\)\\?/"),
        "are milliseconds in a text, as .NET writes them: write the number alone",
    ),
    (
        re.compile(r"\d{4}-?W\d\d"),
        "are weeks without a day: write the day of the week behind each, such as 2025-W01-1",
    ),
    (
        re.compile(r"\d{1,2}\.?[ -][^\W\d]{3,10}\.?[ -]\d{2,4}.{0,20}"),
        "have a name of a month that is not English: write the month as a number",
    ),
    (
        re.compile(r"'.{4,40}'"),
        "are in single quotes, which are part of the text: write double quotes",
    ),
    (
        re.compile(r".{6,30} [ap]\. ?m\.", re.IGNORECASE),
        "have a.m. or p.m. with points: write AM or PM",
    ),
)
_NUMBER_FORMS = (
    (1.2e17, 1.6e17, f"could be Windows times, in units of 100 ns since 1601: {_WRITE_ISO}"),
    (6.2e17, 6.7e17, f"could be .NET ticks, in units of 100 ns since the year 1: {_WRITE_ISO}"),
    (2_440_000.0, 2_490_000.0, f"could be Julian days: {_WRITE_ISO}"),
    (715_000.0, 770_000.0, f"could be days since the year 0, as in MATLAB: {_WRITE_ISO}"),
)
_LINE_PROTOCOL = re.compile(r"[^\s,=]+(,[^\s,=]+=[^\s,=]+)* [^\s,=]+=\S+( \d+)?")


def no_time_message(table: Table) -> str:
    """Return why a table has no column of times, and what to do about it."""
    first_row = short_printable(
        ", ".join(
            f"{name}={cell.strip()}" for name, cell in zip(table.names, table.rows[0], strict=True)
        )
    )
    clock = next((name for name, texts in _first_texts(table) if _are_clocks(name, texts)), None)
    if clock is not None:
        return (
            f"the times in {clock!r} have no date, and no other column has one; the first row "
            f"is {first_row}. Add a column with the date of each row"
        )
    remedies = (_array_remedy, _line_protocol_remedy, _form_remedy, _elapsed_remedy, _epoch_remedy)
    remedy = next(filter(None, (find(table) for find in remedies)), "")
    if len(table.names) == 1 and not remedy:
        return (
            'there is only one column, and it contains no times. No comma, semicolon, tab, "|" '
            f"or space splits the lines. The first row is {first_row}. To name another delimiter, "
            "give --delimiter"
        )
    remedy = remedy or (
        "Name the column with --time, and its format with --time-format, for example a strptime "
        "pattern"
    )
    return f"no column of times that is recognised; the first row is {first_row}. {remedy}"


def _first_texts(table: Table, cells: int = _FIRST_CELLS) -> Iterator[tuple[str, list[str]]]:
    """Yield the first columns with a name and a cell, and the first texts of each."""
    for name in dict.fromkeys(table.names[:_COLUMNS]):
        texts = [cell for cell in table.cells(name)[:cells] if cell] if name else []
        if texts:
            yield name, texts


def _are_clocks(name: str, texts: Sequence[str]) -> bool:
    return all(is_clock(name, text) for text in texts)


def _array_remedy(table: Table) -> str:
    """Return what to do about quantities that each have an array of all their values."""
    if not table.is_json:
        return ""
    names = [
        name for name, texts in _first_texts(table) if all(text.startswith("[") for text in texts)
    ]
    if not names:
        return ""
    return (
        f"{names[0]!r} is an array of values: write one object per row, with the time and the "
        "value of each quantity, or write the table as CSV"
    )


def _line_protocol_remedy(table: Table) -> str:
    delimiter = " " if table.csv.delimiter == SPACES else table.csv.delimiter
    lines = [delimiter.join(cells) for cells in (table.names, *table.rows[:_FIRST_CELLS])]
    if table.is_json or not all(_LINE_PROTOCOL.fullmatch(line[:_MAX_CHARACTERS]) for line in lines):
        return ""
    return "The lines are InfluxDB's line protocol, which is not read: export them as CSV or JSON"


def _form_remedy(table: Table) -> str:
    """Return what to do about times in a known form that no format reads."""
    for name, texts in _first_texts(table):
        numbers = [parse_number_cell(text) for text in texts]
        for low, high, remedy in _NUMBER_FORMS:
            if all(isinstance(number, float) and low <= number <= high for number in numbers):
                return f"The numbers of {name!r} {remedy}"
        for form, remedy in _TEXT_FORMS:
            if all(form.fullmatch(text[:_MAX_CHARACTERS]) for text in texts):
                return f"The times in {name!r} {remedy}"
    return ""


def _elapsed_remedy(table: Table) -> str:
    """Return what to do about numbers that begin near 0 and rise by the same step."""
    for name, texts in _first_texts(table):
        numbers = [parse_number_cell(text) for text in texts]
        values = [number for number in numbers if isinstance(number, float)]
        steps = [later - earlier for earlier, later in pairwise(values)]
        if len(values) < len(texts) or len(steps) < 3 or min(steps) <= 0:
            continue
        is_even = max(steps) - min(steps) <= 0.01 * max(steps)
        if is_even and 0 <= values[0] <= 2 * steps[0] and not _is_row_number(steps):
            return (
                f"The numbers of {name!r} rise from {texts[0]} in equal steps, as elapsed time "
                "does: add a column with the date and the time of each row"
            )
    return ""


def _is_row_number(steps: Sequence[float]) -> bool:
    return all(step == 1.0 for step in steps)


def _epoch_remedy(table: Table) -> str:
    """Return how to use the first column whose numbers could be times."""
    for name, texts in _first_texts(table, _CELLS):
        guess = guess_time(texts, name_suggests_time=True)
        if guess is not None:
            return f"The numbers of {name!r} could be times ({guess.format}); --time {name} uses it"
    return ""
