"""Guess the layout of a CSV file: delimiter, lines before the header, header and unit rows."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.csv_layout import SEPARATOR_LINE, has_row_number
from sensorwatch.common.rows.cells import cell_lines
from sensorwatch.common.rows.csv_format import SPACES, CsvFormat
from sensorwatch.common.rows.paths import escape_key
from sensorwatch.schema_inference.table import Table

DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d\d.*")
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]{0,20}\d,\d{1,20}(?:[eE][+-]?\d{1,3})?")
_MIN_EQUAL_ROWS = 0.9
_SAMPLE_LINES = 200
_MAX_PREAMBLE_LINES = 50
_MAX_UNIT_ROWS = 3
_MAX_SHOWN_NAMES = 10


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    skip_lines: int
    comment: str
    has_header: bool
    unit_rows: int


def read_csv_table(
    lines: Sequence[str],
    *,
    encoding: str = "utf-8",
    form: str = "CSV",
    delimiter: str | None = None,
) -> Table:
    """Return the table of a CSV file's first lines. Raises DataError if there is none.

    `delimiter`: the delimiter that the user gives.
    """
    comment = "#" if any(line.startswith("#") for line in lines[:_MAX_PREAMBLE_LINES]) else ""
    numbered_lines = [
        (number, line.rstrip("\r\n"))
        for number, line in enumerate(lines)
        if line.strip() and not (comment and line.lstrip().startswith(comment))
    ]
    separator = SEPARATOR_LINE.fullmatch(numbered_lines[0][1]) if numbered_lines else None
    declared_delimiter = separator[1] if separator else ""
    if declared_delimiter:
        numbered_lines = numbered_lines[1:]
    if len(numbered_lines) < 2:
        raise DataError(f"found {len(numbered_lines)} lines, wanted a header and at least one row")
    text_lines = [line for _, line in numbered_lines]
    if delimiter is None:
        delimiter = declared_delimiter or _guess_delimiter(text_lines)
    # The csv module refuses a line with a very long cell; such a line is a rejection later.
    split_lines = [
        (number, row) for number, line in numbered_lines if (row := _split(line, delimiter))
    ]
    if len(split_lines) < 2:
        raise DataError(
            "fewer than two lines can be split into cells, wanted a header and at least one row; a "
            f"cell has at most {csv.field_size_limit()} characters"
        )
    line_numbers, cells = zip(*split_lines, strict=True)
    width = _usual_width(cells)
    first = _first_table_line(cells, width)
    header, has_header = cells[first], not _looks_like_row(cells[first])
    unit_rows = _count_unit_rows(cells[first + 1 :]) if has_header else 0
    rows = cells[first + has_header + unit_rows :]
    # Lines before the header that are comments or blank are skipped without being counted.
    header_line = line_numbers[first]
    skip_lines = header_line if first else 0
    names = header if has_header else [f"c{number}" for number in range(1, len(header) + 1)]
    if not has_header and comment:
        names = _names_in_comment(lines[:header_line], comment, delimiter, len(names)) or names
    doubled_names = _doubled_names(names)
    if doubled_names or _has_nameless_time(names, rows):
        # The schema then names the columns, and the header is one of the skipped lines.
        names, has_header, skip_lines = _numbered_names(names), False, header_line + 1
    return _table(
        names,
        rows,
        header_note=_header_note(names, doubled_names, has_header=has_header),
        encoding=encoding,
        form=form,
        layout=_Layout(delimiter, skip_lines, comment, has_header, unit_rows),
    )


def _table(
    names: list[str],
    rows: Sequence[list[str]],
    *,
    header_note: str,
    encoding: str,
    form: str,
    layout: _Layout,
) -> Table:
    names = [name.strip().removeprefix("\ufeff") for name in names]
    notes = [header_note] if header_note else []
    first_row = next((row for row in rows if row), [])
    if has_row_number(first_row, names):
        names = ["", *names]
        notes.append("the rows begin with a row number that the header does not name")
    rows = [row[:-1] if len(row) == len(names) + 1 and not row[-1].strip() else row for row in rows]
    fitting_rows = [
        tuple(row) for row in rows if len(row) == len(names) and [*map(str.strip, row)] != names
    ]
    if not fitting_rows:
        raise DataError(f"no row has as many cells as the header ({len(names)})")
    broken_rows = sum(len(row) != len(names) for row in rows)
    if broken_rows:
        notes.append(f"{broken_rows} lines have another number of cells than the header")
    csv_format = CsvFormat(
        delimiter=layout.delimiter,
        encoding=encoding,
        comment=layout.comment,
        skip_lines=layout.skip_lines,
        names=() if layout.has_header else tuple(names),
        unit_rows=layout.unit_rows,
    )
    paths = tuple(escape_key(name) for name in names)
    return Table(tuple(names), paths, tuple(fitting_rows), form, csv_format, notes=tuple(notes))


def _names_in_comment(
    lines: Sequence[str], comment: str, delimiter: str, width: int
) -> list[str] | None:
    """Return the names in the last comment before the first row, or None if there are none."""
    comments = [line.strip() for line in lines if line.lstrip().startswith(comment)]
    if not comments:
        return None
    names = [name.strip() for name in _split(comments[-1].lstrip(comment + " "), delimiter)]
    is_header = len(names) == width and all(names) and not _looks_like_row(names)
    return names if is_header else None


def _has_nameless_time(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first column has no name and contains times, as pandas writes an index."""
    first_cell = next((row[0].strip() for row in rows if row), "")
    return not names[0].strip() and _DATE.fullmatch(first_cell) is not None


def _doubled_names(names: Sequence[str]) -> list[str]:
    counts = Counter(name.strip() for name in names if name.strip())
    return [name for name, count in counts.items() if count > 1]


def _header_note(names: Sequence[str], doubled_names: Sequence[str], *, has_header: bool) -> str:
    if has_header:
        return ""
    shown_names = ", ".join(names[:_MAX_SHOWN_NAMES])
    shown_names += ", ..." if len(names) > _MAX_SHOWN_NAMES else ""
    if doubled_names:
        shown_doubled = ", ".join(map(repr, doubled_names[:_MAX_SHOWN_NAMES]))
        return (
            f"the header has {shown_doubled} more than once, so the schema names the columns: "
            f"{shown_names}"
        )
    return f"the columns have no names in the file; the schema names them: {shown_names}"


def _numbered_names(names: Sequence[str]) -> list[str]:
    """Return distinct names; a repeated name gets a number, as in pandas."""
    distinct_names = dict[str, None]()
    next_number = Counter[str]()
    for position, name in enumerate(map(str.strip, names), start=1):
        base = name or ("time" if position == 1 and "time" not in names else f"c{position}")
        distinct_name = base
        while distinct_name in distinct_names:
            next_number[base] += 1
            distinct_name = f"{base}.{next_number[base]}"
        distinct_names[distinct_name] = None
    return list(distinct_names)


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(cell_lines([line], delimiter), [])
    except csv.Error:
        return []


def _guess_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits most lines into the same, largest number of cells."""
    sample = lines[:_SAMPLE_LINES]
    scores = {
        delimiter: _delimiter_score([_split(line, delimiter) for line in sample])
        for delimiter in (*DELIMITERS, SPACES)
    }
    if any(_has_only_decimal_commas(sample, delimiter) for delimiter in DELIMITERS[1:]):
        del scores[","]
    best = max(DELIMITERS, key=lambda delimiter: scores.get(delimiter, 0))
    return SPACES if scores.get(best, 0) == 0 and scores[SPACES] > 0 else best


def _has_only_decimal_commas(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether nearly all lines have equally many cells, and a comma only within a number."""
    cells = [_split(line, delimiter) for line in lines]
    width = _usual_width(cells)
    rows = [row for row in cells if len(row) == width]
    if width == 1 or len(rows) < _MIN_EQUAL_ROWS * len(cells):
        return False
    return all(
        "," not in cell or _DECIMAL_COMMA.fullmatch(cell.strip())
        for row in rows[1:]
        for cell in row
    )


def _delimiter_score(cells: Sequence[Sequence[str]]) -> int:
    width = _usual_width(cells)
    exact_count = sum(len(row) == width for row in cells)
    near_count = sum(abs(len(row) - width) == 1 for row in cells)
    return (width - 1) * (2 * exact_count + near_count)


def _usual_width(cells: Sequence[Sequence[str]]) -> int:
    """Return the most frequent number of cells in the second half of the lines."""
    return Counter(len(row) for row in cells[len(cells) // 2 :]).most_common(1)[0][0]


def _first_table_line(cells: Sequence[Sequence[str]], width: int) -> int:
    """Return the index of the header, or of the first row if there is no header."""
    for index, row in enumerate(cells[:_MAX_PREAMBLE_LINES]):
        next_row = cells[index + 1] if index + 1 < len(cells) else row
        lacks_index_name = (
            len(row) == width - 1 and len(next_row) == width and next_row[0].isdigit()
        )
        has_open_end = len(row) == width - 1 and len(next_row) == width and not next_row[-1].strip()
        if len(row) == width or lacks_index_name or has_open_end:
            return index
    return 0


def _looks_like_row(cells: Sequence[str]) -> bool:
    """Return whether a line has a number or a date and no name."""
    texts = [cell.strip() for cell in cells if cell.strip()]
    return bool(texts) and all(_NUMBER.fullmatch(text) or _DATE.fullmatch(text) for text in texts)


def _count_unit_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of lines after the header that have neither a number nor a date."""
    count = 0
    for row in rows[:_MAX_UNIT_ROWS]:
        texts = [cell.strip() for cell in row]
        if any(_NUMBER.fullmatch(text) or _DATE.fullmatch(text) for text in texts):
            break
        count += 1
    has_first_row = len(rows) > count and any(
        _NUMBER.fullmatch(cell.strip()) for cell in rows[count]
    )
    return count if has_first_row else 0
