"""From a table's text cells to the fields that the same row has as JSON."""

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
"""From a line's cells, in the header's order, to its fields or to why it is no row."""

# Longer whole numbers are no instants; bounding them also keeps int() from refusing its input.
_MAX_EPOCH_CHARACTERS = 18


def cell_reader(schema: Schema, header: Sequence[str]) -> CellReader:
    """Compile schema and header into a function from one line's cells to its fields.

    A number's cell (a signal's, a context column's) becomes a float (`nan` and `inf` too, so that
    validation names them), an empty one None, any other text stays text; the time's cell becomes a
    number where the format is an epoch; an empty key counts as absent, as does every cell that a
    short line lacks. A column named like a dotted path is nested. Columns that the schema does not
    name are kept as text.

    Raises DataError where a column is missing, stands there twice, or contradicts another.
    """
    names = [name.strip() for name in header]
    check_columns(schema, names)
    numbers = [column.path for column in schema.columns]
    time = schema.time.field
    read_time = (
        _parse_epoch_cell if schema.time.format in ("epoch_ms", "epoch_s") else _text_or_none
    )
    key = schema.key.field if schema.key else None
    nested = [path for path in schema.paths if "." in path and path in names]
    width = len(names)

    def read(cells: Sequence[str]) -> Fields | Fault:
        if len(cells) > width and any(cells[width:]):
            # The cells may be shifted (an unquoted decimal comma), so none of them can be trusted.
            detail = (
                f"the line has {len(cells)} cells, the header {width}; found {short_repr(cells)}"
            )
            return make_fault(Reason.UNKNOWN_FIELD, "", detail)
        record: dict[str, object] = dict(zip(names, cells, strict=False))
        for name in numbers:
            if name in record:
                record[name] = parse_number_cell(record[name])
        if time in record:
            record[time] = read_time(record[time])
        if key is not None and record.get(key) == "":
            del record[key]
        for name in nested:
            if name in record:
                set_nested(record, name, record.pop(name))
        return record

    return read


def csv_reader(lines: Iterable[str], schema: Schema) -> "CsvReader":
    """Return the reader of a file's lines, in the schema's dialect."""
    delimiter = schema.csv.delimiter
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")


def read_csv_rows(
    lines: "CsvReader", read: CellReader, *, lines_before: int = 0
) -> Iterator[Fields | Fault]:
    """Yield what each record of a file says; a blank line is none.

    `lines_before`: how many lines of the file come before the reader's first.
    """
    while True:
        try:
            for cells in lines:
                if cells:
                    yield read(cells)
        except csv.Error as error:
            line = lines_before + lines.line_num
            yield make_fault(Reason.TOO_LARGE, "", f"line {line}: {error}")
        else:
            return


def check_columns(schema: Schema, names: Sequence[str]) -> None:
    """Check that a table's columns can be rows of the schema; nested fields may stand as a root.

    What may be missing in a row is wanted in the header all the same: a name spelt wrong would
    otherwise pass as a value that is always missing.
    Raises DataError which lists what is missing and what was found.
    """
    present = set(names)
    optional = {schema.key.field} if schema.key and schema.key.optional else set()
    missing = [
        path
        for path in schema.paths
        if path not in present | optional
        and not any(root in present for root in _parent_paths(path))
    ]
    if missing:
        raise DataError(
            f"no column {_join_names(missing)} in the header; found {_join_names(names)} "
            f'(schema "{schema.name}", delimiter {schema.csv.delimiter!r}): '
            "`sensorwatch schema infer FILE` writes a schema that fits a file"
        )
    duplicated = [
        name for name, count in Counter(names).items() if count > 1 and name in schema.paths
    ]
    if duplicated:
        raise DataError(f"the column {_join_names(duplicated)} stands in the header more than once")
    conflicting = [
        path for path in schema.paths if path in present and present & set(_parent_paths(path))
    ]
    if conflicting:
        raise DataError(
            f"the column {_join_names(conflicting)} and one that it would stand inside of are both there; "
            "remove one of them"
        )


def parse_number_cell(cell: object) -> object:
    """Return the correctly rounded float of a number's text, None for blank, else the text."""
    if not isinstance(cell, str):
        return cell
    try:
        value = float(cell)
    except ValueError:
        return cell if cell.strip() else None
    # float() also takes 1_000 and digits of other scripts, which no instrument writes.
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
    """Set a dotted path's value inside of nested mappings, made where they are not there yet."""
    *outer, last = path.split(".")
    for part in outer:
        inner = record.setdefault(part, {})
        assert isinstance(inner, dict), "check_columns refuses a column beside its own parts"
        record = inner
    record[last] = value


def _parent_paths(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _join_names(names: Sequence[str]) -> str:
    return short_printable(", ".join(names)) if names else "none"
