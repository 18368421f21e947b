"""The lines of a CSV file: which of them are rows, and the names of the columns."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import AnyStr

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import cell_lines, cell_reader
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_printable
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields

SEPARATOR_LINE = re.compile(r"\s*sep=(.?)\s*", re.IGNORECASE)
"""The first line of some files that Excel writes; it names the delimiter."""


MAX_ROW_CHARACTERS = 1 << 20
"""Limit for the characters of a row, which may have several lines; a longer row is rejected."""

NumberedRow = tuple[int, Fields | Fault]
"""The number of a row's line, counted from 1, and the fields or the fault of the row."""


class DataLines:
    """An iterator over the lines of a file, without skipped lines and comments.

    The iterator raises csv.Error for the line that makes a row too long. Reading can continue after
    the error.
    """

    def __init__(self, lines: Iterable[str], schema: Schema, *, lines_before: int = 0) -> None:
        """`lines_before`: number of lines of the file that were read before `lines`."""
        self.number = lines_before
        """The number of the line that was returned last, counted from 1."""
        self.is_unterminated = False
        """Whether the last returned line has no line end, so that it may be incomplete."""
        self._lines = iter(lines)
        self._row_characters = 0
        self._comment = schema.csv.comment
        self._skipped_lines = schema.csv.skip_lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next_line()
        self._row_characters += len(line)
        if self._row_characters > MAX_ROW_CHARACTERS:
            raise csv.Error(f"the row has more than {MAX_ROW_CHARACTERS} characters")
        return line

    def start_row(self) -> None:
        """Begin a row; the characters of its lines are counted from here."""
        self._row_characters = 0

    def peek(self) -> str:
        """Return the next line without consuming it; an empty text if there is no line."""
        try:
            line = self._next_line()
        except StopIteration:
            return ""
        self.number -= 1
        self._lines = chain([line], self._lines)
        return line

    def _next_line(self) -> str:
        while True:
            line = next(self._lines)
            self.number += 1
            self.is_unterminated = not line.endswith(("\n", "\r"))
            is_separator = self.number == 1 and SEPARATOR_LINE.fullmatch(line) is not None
            is_comment = bool(self._comment) and line.lstrip().startswith(self._comment)
            if self.number > self._skipped_lines and not is_separator and not is_comment:
                return line


def text_lines(stream: io.BufferedIOBase) -> Iterator[str]:
    """Yield the lines of a stream of UTF-8 that has no carriage return inside a line.

    The stream is read only up to the end of the line. If a line is longer than a row may be, only
    its first characters are returned.
    """
    for line in _bounded_lines(stream.readline, (b"\n",)):
        yield line.decode(errors="surrogateescape")


def lines_of_text(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a text; see `text_lines`."""
    return _bounded_lines(text.readline, ("\n", "\r"))


def _bounded_lines(
    read_line: Callable[[int], AnyStr], line_ends: tuple[AnyStr, ...]
) -> Iterator[AnyStr]:
    while line := read_line(MAX_ROW_CHARACTERS + 1):
        yield line
        while len(line) > MAX_ROW_CHARACTERS and not line.endswith(line_ends):
            line = read_line(MAX_ROW_CHARACTERS + 1)


def read_header(lines: Iterator[list[str]], schema: Schema) -> list[str]:
    """Return the names of the columns, and skip the lines of units.

    Raises DataError if there is no header.
    """
    names = list(schema.csv.names)
    try:
        if not names:
            cells = next((cells for cells in lines if any(cells)), None)
            if cells is None:
                raise DataError(" is empty; wanted a header line and rows")
            names = [name.strip() for name in cells]
        for _ in range(schema.csv.unit_rows):
            next(lines, None)
    except csv.Error as error:
        raise DataError(f" is not a CSV file: {error}") from error
    _refuse_undecodable(names, schema)
    return names


def with_index_column(names: list[str], first_line: str, schema: Schema) -> list[str]:
    """Return the names, with an empty one before them if the rows begin with a row number.

    pandas writes an empty name for such a column, or no cell for its name.
    """
    try:
        cells = next(cell_lines([first_line], schema.csv.delimiter), [])
    except csv.Error:  # the line becomes a rejection later
        return names
    return ["", *names] if has_row_number(cells, names) else names


def has_row_number(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the cells of a row begin with a number that the header does not name."""
    return len(cells) == len(names) + 1 and cells[-1] != "" and cells[0].isdigit()


def rows_of_lines(lines: DataLines, names: Sequence[str], schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of the lines below a header. Raises DataError if a column is missing."""
    read_cells, cells_of_lines = cell_reader(schema, names), cell_lines(lines, schema.csv.delimiter)
    while True:
        lines.start_row()
        try:
            for cells in cells_of_lines:
                lines.start_row()
                if not cells:
                    continue
                if lines.is_unterminated and len(cells) < len(names):
                    yield lines.number, _incomplete_line_fault(cells, names)
                elif (row := read_cells(cells)) is not None and not is_ignored(row, schema):
                    yield lines.number, row
        except csv.Error as error:
            detail = f"line {lines.number}: {error}"
            yield lines.number, make_fault(Reason.TOO_LARGE, "", detail)
        else:
            return


def _incomplete_line_fault(cells: Sequence[str], names: Sequence[str]) -> Fault:
    detail = (
        f"the file ends after {len(cells)} of {len(names)} cells of its last line, so the last "
        "cell may be incomplete"
    )
    return make_fault(Reason.MISSING_FIELD, "", detail)


def _refuse_undecodable(names: list[str], schema: Schema) -> None:
    header = "".join(names)
    if "\0" in header:
        raise DataError(
            f" contains zero bytes in its header, read as {schema.csv.encoding}: if it is UTF-16, "
            'set encoding = "utf-16-le" in [csv]'
        )
    try:
        header.encode()
    except UnicodeEncodeError as error:
        header_text = short_printable(header)
        raise DataError(
            f" is not {schema.csv.encoding.upper()} (header {header_text}): set encoding in [csv], "
            'for example "windows-1252"'
        ) from error
