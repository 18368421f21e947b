"""Recognise tables in long form: one name and one value per row."""

import re
from collections.abc import Sequence
from statistics import median

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import short_printable
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn, NumberReader
from sensorwatch.schema_inference.key_guess import separates_equal_times, suggests_key
from sensorwatch.schema_inference.pivot_command import pivot_command
from sensorwatch.schema_inference.table import Table

_NAME_COLUMNS = frozenset(
    {"metric", "metricname", "field", "parameter", "variable", "measurement", "signal", "quantity"}
    | {"attribute", "property", "item", "tag", "tagname", "entityid", "sensortype", "type", "name"}
    | {"datapoint", "point", "channel", "series", "key"}
)
_VALUE_COLUMNS = frozenset({"value", "val", "reading", "state", "measure", "measuredvalue", "data"})
_MAX_NAMES = 200
_MIN_SCALE_RATIO = 10.0
_ID_KINDS = (ColumnKind.TEXT, ColumnKind.KEY)


class LongForm(DataError):
    """The rows are in long form; the text contains a command that pivots the file."""


def refuse_long_form(
    table: Table,
    columns: Sequence[InferredColumn],
    time_names: Sequence[str],
    read_number: NumberReader,
) -> None:
    """Raise LongForm, with a command that pivots the table, if it is in long form."""
    long_columns = _names_and_values(table, columns) or _by_scale(
        table, columns, time_names, read_number
    )
    if long_columns is None:
        return
    name_column, value_column = long_columns
    id_columns = [
        column.name
        for column in columns
        if column.name not in long_columns
        and column.kind in _ID_KINDS
        and 1 < len(set(table.cells(column.name))) <= _MAX_NAMES
        and not _follows(table, column.name, name_column)
    ]
    command = pivot_command(
        table, index=[*time_names, *id_columns], name=name_column, value=value_column
    )
    found_names = short_printable(", ".join(sorted(set(table.cells(name_column)))[:5]))
    raise LongForm(
        f"the rows are in long form: {name_column!r} names the quantity ({found_names}) and "
        f"{value_column!r} is its value. sensorwatch needs one column per quantity. This command "
        f"writes wide.csv: {command} (if {name_column!r} names the sensor: --key {name_column!r})"
    )


def _names_and_values(table: Table, columns: Sequence[InferredColumn]) -> tuple[str, str] | None:
    """Return the columns of names and values, if the names of the columns show them."""
    signals = [column.name for column in columns if column.kind is ColumnKind.SIGNAL]
    values = [column.name for column in columns if _plain(column.name) in _VALUE_COLUMNS]
    names = [
        column.name
        for column in columns
        if _plain(column.name) in _NAME_COLUMNS
        and column.kind in _ID_KINDS
        and 2 <= len(set(table.cells(column.name))) <= _MAX_NAMES
    ]
    if not names or not values:
        return None
    name_column = max(names, key=lambda name: len(set(table.cells(name))))
    others = [name for name in signals if name not in values]
    if not all(_follows(table, name, name_column) for name in others):
        return None
    return name_column, values[0]


def _by_scale(
    table: Table,
    columns: Sequence[InferredColumn],
    time_names: Sequence[str],
    read_number: NumberReader,
) -> tuple[str, str] | None:
    """Return the columns of names and values, if the scale of the only value depends on a name.

    The rows of one time have different names, as they are different quantities of one time.
    """
    names = [
        column.name
        for column in columns
        if column.kind in (ColumnKind.TEXT, ColumnKind.SIGNAL)
        and not suggests_key(column.name)
        and 2 <= len(set(table.cells(column.name))) <= min(_MAX_NAMES, len(table.rows) // 5)
    ]
    signals = [column.name for column in columns if column.kind is ColumnKind.SIGNAL]
    for name in names:
        values = [signal for signal in signals if signal != name]
        if len(values) != 1:
            continue
        ids = [
            column.name
            for column in columns
            if column.kind in _ID_KINDS and column.name != name and suggests_key(column.name)
        ]
        instants = list(zip(*(table.cells(key) for key in (*time_names, *ids)), strict=True))
        texts = ["\0".join(instant) for instant in instants]
        if separates_equal_times(table.cells(name), texts) and _scales_differ(
            table.cells(name), [read_number(cell) for cell in table.cells(values[0])]
        ):
            return name, values[0]
    return None


def _scales_differ(names: Sequence[str], values: Sequence[object]) -> bool:
    """Return whether the values of one name are much larger than those of another name."""
    values_of_name: dict[str, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(value, float):
            values_of_name.setdefault(name, []).append(abs(value))
    if len(values_of_name) < 2:
        return False
    medians = sorted((median(sizes), name) for name, sizes in values_of_name.items())
    (small_median, small_name), (large_median, large_name) = medians[0], medians[-1]
    return large_median > _MIN_SCALE_RATIO * small_median and min(values_of_name[large_name]) > max(
        values_of_name[small_name]
    )


def _follows(table: Table, name: str, name_column: str) -> bool:
    """Return whether a column has one value for each value of another column."""
    pairs = set(zip(table.cells(name_column), table.cells(name), strict=True))
    return len(pairs) == len(set(table.cells(name_column)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
