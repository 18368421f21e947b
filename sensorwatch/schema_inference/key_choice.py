"""Choose the column, or the columns, of the sensor's id, and ask if the choice is doubtful."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn, NumberReader
from sensorwatch.schema_inference.key_guess import (
    is_key,
    is_message_id,
    may_be_key,
    need_each_other,
    suggests_key,
)
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.table import Table

_POSSIBLE_KINDS = (ColumnKind.TEXT, ColumnKind.SIGNAL, ColumnKind.ROW_NUMBER)
_MAX_COMPARED_SIGNALS = 20


def choose_key(
    table: Table,
    columns: Sequence[InferredColumn],
    times: Sequence[str],
    options: InferenceOptions,
    read_number: NumberReader,
) -> tuple[list[InferredColumn], list[str]]:
    """Return the columns with the kind KEY set, and questions about the id.

    `times`: the cells of the time.
    """
    if options.key_names is not None:
        return _with_keys(columns, set(options.key_names)), []
    columns = [_as_message_id(column, table) for column in columns]
    questions = [
        f"{column.name!r} has a different value in nearly every row, so it is not the id of a "
        f"sensor; --key {column.name!r} uses it anyway"
        for column in columns
        if column.kind is ColumnKind.MESSAGE_ID
    ]
    candidates = _candidates(table, columns, times, options, read_number)
    if not candidates:
        questions += [
            f"{column.name!r} changes from row to row; if it names the sensor: --key {column.name}"
            for column in columns
            if column.kind is ColumnKind.TEXT and may_be_key(table.cells(column.name))
        ]
        return columns, questions
    columns_named_as_key = [column.name for column in candidates if suggests_key(column.name)]
    if len(columns_named_as_key) > 1 and need_each_other(
        [table.cells(name) for name in columns_named_as_key], times
    ):
        return _with_keys(columns, set(columns_named_as_key)), questions
    key = (columns_named_as_key or [column.name for column in candidates])[0]
    other_candidates = [column.name for column in candidates if column.name != key]
    if other_candidates:
        questions.append(
            f"{key!r} is read as the sensor's id, and "
            f"{', '.join(map(repr, other_candidates))} could be part of it: give --key once for "
            "each part"
        )
    if not columns_named_as_key:
        questions.append(f"{key!r} behaves like the id of a sensor; if it is not one: --no-key")
    return _with_keys(
        columns, {key}, unused=set(other_candidates) & set(columns_named_as_key)
    ), questions


def _candidates(
    table: Table,
    columns: Sequence[InferredColumn],
    times: Sequence[str],
    options: InferenceOptions,
    read_number: NumberReader,
) -> list[InferredColumn]:
    signals = [
        (column.name, [_to_float(read_number(cell)) for cell in table.cells(column.name)])
        for column in columns
        if column.kind is ColumnKind.SIGNAL and not column.words and not column.unit
    ][:_MAX_COMPARED_SIGNALS]
    return [
        column
        for column in columns
        if column.kind in _POSSIBLE_KINDS
        and not column.unit
        and not column.words
        and column.name not in options.measured_names
        and is_key(
            column.name,
            table.cells(column.name),
            times,
            are_numbers=column.kind is not ColumnKind.TEXT,
            signals=[numbers for name, numbers in signals if name != column.name],
        )
    ]


def _with_keys(
    columns: Sequence[InferredColumn],
    names: set[str],
    *,
    unused: Iterable[str] = (),
) -> list[InferredColumn]:
    """Return the columns with the kind KEY for some names, and the kind TEXT for unused ids."""
    kind_of_name = dict.fromkeys(unused, ColumnKind.TEXT) | dict.fromkeys(names, ColumnKind.KEY)
    return [
        InferredColumn(column.name, column.path, kind_of_name[column.name], column.cells)
        if column.name in kind_of_name
        else column
        for column in columns
    ]


def _as_message_id(column: InferredColumn, table: Table) -> InferredColumn:
    is_id = (
        column.kind in (ColumnKind.TEXT, ColumnKind.ROW_NUMBER)
        and suggests_key(column.name)
        and is_message_id(table.cells(column.name))
    )
    return replace(column, kind=ColumnKind.MESSAGE_ID) if is_id else column


def _to_float(value: object) -> float:
    return value if isinstance(value, float) else math.nan
