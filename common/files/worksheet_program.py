"""The program of the process that reads a worksheet: it writes the rows as lines of CSV.

Arguments: the path of the workbook, and a JSON object with the keys of `Form`. The first line of
the output is a JSON object with the name of the sheet that is read and the names of the other
sheets. Each later line is a row of the sheet, even if the row is empty. If the workbook cannot be
read, the last line on standard error is the reason.

python-calamine builds a table of all cells, and a small file can declare a table of any size. Rust
ends the process if there is not enough memory. So the process is a child with a limit for its
memory, and imports no module of this project.
"""

import csv
import datetime
import json
import resource
import sys
from collections.abc import Sequence
from typing import IO, TypeAlias, TypedDict

import python_calamine

MAX_MEMORY_BYTES = 2 << 30
"""Limit for the address space of the process."""

_MAX_EXACT_INTEGER = 2.0**53
_SPACES = "spaces"
_LINE_BREAKS = str.maketrans("\r\n\0", "   ")

Cell: TypeAlias = (
    float | str | bool | datetime.date | datetime.time | datetime.datetime | datetime.timedelta
)
"""A cell as calamine reads it; an empty cell and an error such as #N/A are empty texts."""


class Form(TypedDict):
    """The form of the output."""

    delimiter: str
    """See `CsvFormat`."""
    decimal: str
    """See `CsvFormat`."""
    timestamps: list[str]
    """Headers of columns whose dates always get a time of day."""


def main(path: str, form: Form, out: IO[str]) -> None:
    """Write the name of the first visible worksheet, and then its rows."""
    with python_calamine.CalamineWorkbook.from_path(path) as workbook:
        names = [sheet.name for sheet in workbook.sheets_metadata if _is_visible_worksheet(sheet)]
        if not names:
            raise ValueError("the workbook has no visible worksheet")
        other_names = [name for name in workbook.sheet_names if name != names[0]]
        out.write(json.dumps({"name": names[0], "other_names": other_names}) + "\n")
        _write_rows(workbook.get_sheet_by_name(names[0]), form, out)


def _is_visible_worksheet(sheet: python_calamine.SheetMetadata) -> bool:
    return (
        sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
        and sheet.visible == python_calamine.SheetVisibleEnum.Visible
    )


def _write_rows(sheet: python_calamine.CalamineSheet, form: Form, out: IO[str]) -> None:
    """Write the rows.

    Empty cells at the end of a row are left out. From the first row whose last cell is not empty
    on, all cells are written. So a title above the header is a line of one cell.
    """
    delimiter = form["delimiter"]
    writer = csv.writer(
        out,
        delimiter=" " if delimiter == _SPACES else delimiter,
        quoting=csv.QUOTE_ALL if delimiter == _SPACES else csv.QUOTE_MINIMAL,
        lineterminator="\n",
    )
    is_day_column = _find_day_columns(sheet, form["timestamps"])
    has_full_row = False
    for row in sheet.iter_rows():
        if _is_empty(row):
            out.write("\n")
            continue
        has_full_row = has_full_row or row[-1] != ""
        cells = [
            _text(cell, is_day=is_day, decimal=form["decimal"])
            for cell, is_day in zip(row, is_day_column, strict=True)
        ]
        while not has_full_row and not cells[-1]:
            cells.pop()
        writer.writerow(cells)


def _find_day_columns(
    sheet: python_calamine.CalamineSheet, timestamps: Sequence[str]
) -> list[bool]:
    """Return for each column whether its dates are written without a time of day."""
    is_day_column = [True] * sheet.width
    for row in sheet.iter_rows():
        if _is_empty(row):
            continue
        for position, cell in enumerate(row):
            # calamine returns a date, and not a datetime, at midnight.
            if type(cell) is datetime.datetime or (type(cell) is str and cell in timestamps):
                is_day_column[position] = False
    return is_day_column


def _is_empty(row: Sequence[Cell]) -> bool:
    return row.count("") == len(row)


def _text(cell: Cell, *, is_day: bool, decimal: str) -> str:
    """Return the text of a cell.

    A number has the shortest text that gives the same float64. A date is ISO 8601 without a zone,
    and a duration is a number of days.
    """
    match cell:
        case str():
            return cell.translate(_LINE_BREAKS)
        case bool():
            return "true" if cell else "false"
        case float() | int():
            return _number_text(cell, decimal)
        case datetime.timedelta():
            return _number_text(cell / datetime.timedelta(days=1), decimal)
        case datetime.datetime() | datetime.time():
            return cell.isoformat(timespec="milliseconds" if cell.microsecond else "seconds")
        case datetime.date():
            return cell.isoformat() + ("" if is_day else "T00:00:00")


def _number_text(number: float, decimal: str) -> str:
    is_whole = abs(number) < _MAX_EXACT_INTEGER and number == int(number)
    return str(int(number)) if is_whole else repr(number).replace(".", decimal)


def _limit_memory() -> None:
    hard_limit = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MAX_MEMORY_BYTES
    if hard_limit != resource.RLIM_INFINITY:
        limit = min(limit, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard_limit))


if __name__ == "__main__":
    _limit_memory()
    try:
        with open(1, "w", encoding="utf-8", errors="replace", newline="") as output:
            main(sys.argv[1], json.loads(sys.argv[2]), output)
    except BrokenPipeError:
        pass  # the reader needs no more rows
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        sys.exit(str(error) or type(error).__name__)
