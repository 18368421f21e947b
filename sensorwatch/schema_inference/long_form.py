"""Recognise tables in long form: one name and one value per row."""

import re
from collections import Counter
from collections.abc import Sequence

from sensorwatch.common.errors import DataError
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn
from sensorwatch.schema_inference.table import Table

_NAME_COLUMNS = frozenset(
    {"metric", "metricname", "field", "parameter", "variable", "measurement", "signal", "quantity"}
    | {"attribute", "property", "item", "tag", "tagname", "entityid", "sensortype", "type", "name"}
    | {"datapoint", "point", "channel", "series", "key"}
)
_VALUE_COLUMNS = frozenset({"value", "val", "reading", "state", "measure", "measuredvalue", "data"})
_MAX_NAMES = 200


def refuse_long_form(
    table: Table, columns: Sequence[InferredColumn], time_names: Sequence[str]
) -> None:
    """Raise DataError, with a command that pivots the table, if it is in long form."""
    signals = [column for column in columns if column.kind is ColumnKind.SIGNAL]
    values = [column for column in columns if _plain(column.name) in _VALUE_COLUMNS]
    names = [
        column.name
        for column in columns
        if _plain(column.name) in _NAME_COLUMNS
        and column.kind in (ColumnKind.TEXT, ColumnKind.KEY)
        and 2 <= len(set(table.cells(column.name))) <= _MAX_NAMES
    ]
    if not names or not values:
        return
    name_column, value_column = _most_distinct(table, names), values[0].name
    other_signals = [column.name for column in signals if column not in values]
    if not all(_follows(table, name, name_column) for name in other_signals):
        return
    id_columns = [
        column.name
        for column in columns
        if column.name != name_column
        and column.kind in (ColumnKind.TEXT, ColumnKind.KEY)
        and 1 < len(set(table.cells(column.name))) <= _MAX_NAMES
    ]
    index = [*time_names, *id_columns]
    found_names = ", ".join(sorted(set(table.cells(name_column)))[:5])
    raise DataError(
        f"the rows are in long form: {name_column!r} names the quantity ({found_names}) and "
        f"{value_column!r} is its value. sensorwatch needs one column per quantity. Pivot the "
        "file: "
        f"python -c \"import pandas; pandas.read_csv('IN.csv').pivot_table(index={index!r}, "
        f"columns={name_column!r}, values={value_column!r}, aggfunc='last').reset_index()"
        f".to_csv('OUT.csv', index=False)\""
    )


def _follows(table: Table, name: str, name_column: str) -> bool:
    """Return whether a column has one value for each value of another column."""
    pairs = set(zip(table.cells(name_column), table.cells(name), strict=True))
    return len(pairs) == len(set(table.cells(name_column)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _most_distinct(table: Table, names: Sequence[str]) -> str:
    return max(names, key=lambda name: len(Counter(table.cells(name))))
