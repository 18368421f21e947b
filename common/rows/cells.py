"""Conversion of the text cells of a table row to the fields of an equal JSON record."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.csv_format import SPACES, CsvFormat
from sensorwatch.common.rows.field_declarations import EPOCH_UNITS_NS
from sensorwatch.common.rows.instants import number_of
from sensorwatch.common.rows.paths import column_name, parent_names
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_printable, short_repr
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.rows.values import number_of_text

_BYTE_ORDER_MARK = "\ufeff"

CellReader = Callable[[Sequence[str]], Fields | Fault | None]
"""A function that converts the cells of a line, in header order, to fields or a fault.

It returns None for a line that is not a row: a repeated header, or a comment."""
_SPACE_SEPARATED_CELL = re.compile(r'"(?:[^"]|"")*+"|[^\s"]\S*|"')


def cell_reader(schema: Schema, header: Sequence[str]) -> CellReader:
    """Return a function that converts the cells of one line to its fields.

    * A cell of a signal or context column becomes a float. `nan` and `inf` become floats too, so
      that validation reports them. An empty cell becomes None. Any other text stays a text.
    * A time cell becomes a number if the first time format is an epoch or a number of days. Spaces
      around it are ignored, as around a number.
    * Decimal and thousands separators are read as the schema declares them.
    * An empty cell of a key counts as absent. Cells that are missing at the end of a short line are
      absent.

    Raises DataError if a column is missing or repeated.
    """
    names = [name.strip() for name in header]
    check_columns(schema, names)
    number_names = [column_name(column.path) for column in schema.columns]
    time_names = [column_name(path) for path in schema.time.fields]
    key_names = [column_name(path) for path in schema.key.fields] if schema.key else []
    read_number = number_cell_reader(schema.csv)
    has_number_times = schema.time.formats[0] in (*EPOCH_UNITS_NS, "excel_days")
    read_time = number_of if has_number_times else _unchanged
    column_count = len(names)

    is_no_row = _make_line_check(schema, names)

    def read_cells(cells: Sequence[str]) -> Fields | Fault | None:
        if is_no_row(cells):
            return None
        if len(cells) > column_count and any(cells[column_count:]):
            # The cells may be shifted, for example by an unquoted decimal comma.
            detail = (
                f"the line has {len(cells)} cells, the header {column_count}; "
                f"found {short_repr(cells)}"
            )
            return make_fault(Reason.UNKNOWN_FIELD, "", detail)
        record: dict[str, object] = dict(zip(names, cells, strict=False))
        record.pop("", None)  # a column without a name
        for name in number_names:
            if name in record:
                record[name] = read_number(record[name])
        for name in time_names:
            if name in record:
                text = _without_padding(record[name])
                record[name] = None if text == "" else read_time(text)
        for name in key_names:
            if record.get(name) == "":
                del record[name]
        return record

    return read_cells


def _make_line_check(schema: Schema, names: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Return a function that checks whether a line is a comment or a repeated header."""
    comment, header = schema.csv.comment, list(names)

    def is_no_row(cells: Sequence[str]) -> bool:
        if not cells or (comment and cells[0].lstrip().startswith(comment)):
            return bool(cells)
        # The first file of several joined files may have been the only one without such a mark.
        first_cell = cells[0].removeprefix(_BYTE_ORDER_MARK).strip()
        return first_cell == header[0] and [first_cell, *map(str.strip, cells[1:])] == header

    return is_no_row


def _unchanged(cell: object) -> object:
    return cell


def _without_padding(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def number_cell_reader(csv_format: CsvFormat) -> Callable[[object], object]:
    """Return a function that converts a cell as `parse_number_cell` does."""
    decimal, thousands = csv_format.decimal, csv_format.thousands
    if decimal == "." and not thousands:
        return parse_number_cell
    groups = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?!\d)|" if thousands else ""
    number = re.compile(
        rf"([+-]?)({groups}\d*)(?:{re.escape(decimal)}(\d*))?([eE][+-]?\d+)?(\s*[^\d\s].*)?",
        re.ASCII | re.DOTALL,
    )

    def read_number(cell: object) -> object:
        match = number.fullmatch(cell.strip()) if isinstance(cell, str) else None
        if match is None or not (match[2] or match[3]):
            return cell if isinstance(cell, str) and cell.strip() else None
        sign, digits, fraction, exponent, unit = match.groups(default="")
        plain_digits = digits.replace(thousands, "") if thousands else digits
        return parse_number_cell(f"{sign}{plain_digits}.{fraction}{exponent}{unit}")

    return read_number


def cell_lines(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of each line; a blank line has none. `delimiter`: see `CsvFormat`.

    A quoted cell may contain line ends. Lines are taken from `lines` only as far as needed. Raises
    csv.Error for a line that the csv module refuses; reading can continue after it.
    """
    if delimiter == SPACES:
        return map(_split_at_spaces, lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")


def _split_at_spaces(line: str) -> list[str]:
    if '"' not in line:
        return line.split()
    return [
        text[1:-1].replace('""', '"') if text.startswith('"') and len(text) > 1 else text
        for text in _SPACE_SEPARATED_CELL.findall(line)
    ]


def check_columns(schema: Schema, names: Sequence[str]) -> None:
    """Check that the columns of a table match the schema.

    A table may contain the parent column instead of a nested column. The header must also name
    columns whose values may be missing: otherwise, a misspelt column name would be read as a
    missing value in every row. Raises DataError with a message that lists the missing and the
    existing columns.
    """
    header_names = set(names)
    optional_paths = set(schema.key.fields) if schema.key and schema.key.optional else set()
    missing_names = [
        column_name(path)
        for path in schema.read_paths
        if path not in optional_paths
        and header_names.isdisjoint([column_name(path), *parent_names(path)])
    ]
    if missing_names:
        raise DataError(
            f"no column {_join_names(missing_names)} in the header; found {_join_names(names)} "
            f'(schema "{schema.name}", delimiter {schema.csv.delimiter!r}): '
            "`sensorwatch schema infer FILE` writes a schema that fits a file"
        )
    schema_names = set(schema.read_names)
    duplicate_names = [
        name
        for name, name_count in Counter(names).items()
        if name_count > 1 and name in schema_names
    ]
    if duplicate_names:
        raise DataError(
            f"the header contains the column {_join_names(duplicate_names)} more than once"
        )


def parse_number_cell(cell: object) -> object:
    """Return the nearest float for a number text, None for a blank text, else the cell itself."""
    if not isinstance(cell, str):
        return cell
    number = number_of_text(cell)
    if number is not None:
        return number
    return cell if cell.strip() else None


def _join_names(names: Sequence[str]) -> str:
    return short_printable(", ".join(names)) if names else "none"
