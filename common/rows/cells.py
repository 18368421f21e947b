"""Conversion of the text cells of a table row to the fields of an equal JSON record."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_printable, short_repr
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

CellReader = Callable[[Sequence[str]], Fields | Fault]
"""A function that converts the cells of a line, in header order, to fields or a fault."""

# An integer with more characters is not a valid time, and int() refuses very long texts.
_MAX_EPOCH_CHARACTERS = 18


def cell_reader(schema: Schema, header: Sequence[str]) -> CellReader:
    """Return a function that converts the cells of one line to its fields.

    * A cell of a signal or context column becomes a float. `nan` and `inf` become floats too, so
      that validation reports them. An empty cell becomes None, any other text stays text.
    * A time cell becomes a number if the time format is an epoch.
    * An empty key counts as absent. Cells that are missing at the end of a short line are absent.
    * A column with a dotted name becomes nested fields. Cells of unknown columns stay texts.

    Raises DataError if a column is missing or repeated, or if the header contains both a nested
    column and its parent column.
    """
    names = [name.strip() for name in header]
    check_columns(schema, names)
    number_paths = [column.path for column in schema.columns]
    time_name = schema.time.field
    read_time = (
        _parse_epoch_cell if schema.time.format in ("epoch_ms", "epoch_s") else _text_or_none
    )
    key_name = schema.key.field if schema.key else None
    nested_paths = [path for path in schema.paths if "." in path and path in names]
    column_count = len(names)

    def read_cells(cells: Sequence[str]) -> Fields | Fault:
        if len(cells) > column_count and any(cells[column_count:]):
            # The cells may be shifted, for example by an unquoted decimal comma.
            detail = (
                f"the line has {len(cells)} cells, the header {column_count}; "
                f"found {short_repr(cells)}"
            )
            return make_fault(Reason.UNKNOWN_FIELD, "", detail)
        record: dict[str, object] = dict(zip(names, cells, strict=False))
        for name in number_paths:
            if name in record:
                record[name] = parse_number_cell(record[name])
        if time_name in record:
            record[time_name] = read_time(record[time_name])
        if key_name is not None and record.get(key_name) == "":
            del record[key_name]
        for name in nested_paths:
            if name in record:
                set_nested(record, name, record.pop(name))
        return record

    return read_cells


def csv_reader(lines: Iterable[str], schema: Schema) -> "CsvReader":
    """Return a reader of the csv module that splits lines at the schema's delimiter."""
    delimiter = schema.csv.delimiter
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")


def read_csv_rows(
    lines: "CsvReader", read_cells: CellReader, *, lines_before: int = 0
) -> Iterator[Fields | Fault]:
    """Yield the fields or the fault of each CSV row; blank lines are skipped.

    `lines_before`: number of lines of the file before the first line of the reader.
    """
    while True:
        try:
            for cells in lines:
                if cells:
                    yield read_cells(cells)
        except csv.Error as error:
            line = lines_before + lines.line_num
            yield make_fault(Reason.TOO_LARGE, "", f"line {line}: {error}")
        else:
            return


def check_columns(schema: Schema, names: Sequence[str]) -> None:
    """Check that the columns of a table match the schema.

    A table may contain the parent column instead of a nested column. The header must also name
    columns whose values may be missing: otherwise, a misspelt column name would be read as a
    missing value in every row. Raises DataError with a message that lists the missing and the
    existing columns.
    """
    header_names = set(names)
    optional_names = {schema.key.field} if schema.key and schema.key.optional else set()
    missing_paths = [
        path
        for path in schema.paths
        if path not in header_names | optional_names
        and not any(parent in header_names for parent in _parent_paths(path))
    ]
    if missing_paths:
        raise DataError(
            f"no column {_join_names(missing_paths)} in the header; found {_join_names(names)} "
            f'(schema "{schema.name}", delimiter {schema.csv.delimiter!r}): '
            "`sensorwatch schema infer FILE` writes a schema that fits a file"
        )
    duplicate_names = [
        name
        for name, name_count in Counter(names).items()
        if name_count > 1 and name in schema.paths
    ]
    if duplicate_names:
        raise DataError(
            f"the header contains the column {_join_names(duplicate_names)} more than once"
        )
    conflicting_paths = [
        path
        for path in schema.paths
        if path in header_names and header_names & set(_parent_paths(path))
    ]
    if conflicting_paths:
        raise DataError(
            f"the header contains the nested column {_join_names(conflicting_paths)} and also its "
            "parent column; remove one of them"
        )


def parse_number_cell(cell: object) -> object:
    """Return the nearest float for a number text, None for a blank text, else the cell itself."""
    if not isinstance(cell, str):
        return cell
    try:
        value = float(cell)
    except ValueError:
        return cell if cell.strip() else None
    # float() also accepts 1_000 and digits of other scripts, which are not numbers here.
    return cell if "_" in cell or not cell.isascii() else value


def _parse_epoch_cell(cell: object) -> object:
    if isinstance(cell, str) and len(cell) <= _MAX_EPOCH_CHARACTERS:
        digits = cell.removeprefix("-")
        if digits.isascii() and digits.isdecimal():
            return int(cell)
    return parse_number_cell(cell)


def _text_or_none(cell: object) -> object:
    return cell or None


def set_nested(record: dict[str, object], path: str, value: object) -> None:
    """Set the value of a dotted path in nested mappings, creating missing mappings."""
    *parent_names, field_name = path.split(".")
    for name in parent_names:
        nested_record = record.setdefault(name, {})
        assert isinstance(nested_record, dict), "check_columns refuses a column beside its parent"
        record = nested_record
    record[field_name] = value


def _parent_paths(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _join_names(names: Sequence[str]) -> str:
    return short_printable(", ".join(names)) if names else "none"
