"""JSON objects that are written in bulk: all rows have the same fields, with values in columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.text_columns import (
    TextColumn,
    choice_texts,
    join_texts,
    number_texts,
)


@dataclass(frozen=True, slots=True)
class JsonText:
    """A column of texts that are written in quotation marks, and need no escapes."""

    texts: TextColumn


_Column = TextColumn | NDArray[Any]
Field = JsonText | _Column | Mapping[str, "Field"] | Sequence["Field"] | str | int | float
"""The values of a field in all rows.

A TextColumn has the JSON of each row. An array (n,) has the numbers or booleans of all rows. A
mapping is an object, a list is an array. A text or a number is the same in all rows.
"""


def json_texts(choices: Sequence[str], codes: NDArray[np.integer]) -> TextColumn:
    """Return a column of JSON texts; `codes` (n,) has the index in `choices` of each row's text."""
    return choice_texts([msgspec.json.encode(choice) for choice in choices], codes)


def json_objects(
    fields: Mapping[str, Field], *, row_executor: RowExecutor = run_serially
) -> list[bytes]:
    """Return an object for each of n rows, with these fields in this order.

    At least one field has a column. Numbers are written as msgspec writes them: the shortest text
    that is read back as the same number, and `null` if the number is not finite.
    """
    columns: list[_Column] = []
    literals: list[bytes] = []
    # Each column is preceded by one literal, which may be empty.
    for is_literal, pieces in groupby(_pieces(fields), lambda piece: isinstance(piece, bytes)):
        if is_literal:
            literals.append(b"".join(pieces))  # type: ignore[arg-type]  # these pieces are literals
        else:
            columns += pieces  # type: ignore[arg-type]  # these pieces are columns
    return join_texts(
        _column_texts(columns, row_executor), literals, row_executor=row_executor
    ).to_list()


def _pieces(field: Field) -> Iterator[bytes | _Column]:
    """Yield the literals and columns of a field in order, with a literal between two columns."""
    match field:
        case TextColumn() | np.ndarray():
            yield field
        case JsonText(texts):
            yield b'"'
            yield texts
            yield b'"'
        case Mapping():
            start = b"{"
            for name, value in field.items():
                yield start + msgspec.json.encode(name) + b":"
                yield from _pieces(value)
                start = b","
            yield b"}"
        case list():
            start = b"["
            for value in field:
                yield start
                yield from _pieces(value)
                start = b","
            yield b"]"
        case _:
            yield msgspec.json.encode(field)


def _column_texts(columns: Sequence[_Column], row_executor: RowExecutor) -> list[TextColumn]:
    """Return the columns as texts; all numbers of a type are written by one call."""
    texts: dict[int, TextColumn] = {}
    for dtype in (np.float64, np.int64):
        positions = [
            position
            for position, column in enumerate(columns)
            if isinstance(column, np.ndarray) and column.dtype == dtype
        ]
        numbers = [columns[position] for position in positions]
        texts |= zip(positions, number_texts(numbers, row_executor=row_executor), strict=True)  # type: ignore[arg-type]  # the columns that are arrays
    for position, column in enumerate(columns):
        if isinstance(column, TextColumn):
            texts[position] = column
        elif column.dtype == np.bool_:
            texts[position] = choice_texts((b"false", b"true"), column.astype(np.int8))
    return [texts[position] for position in range(len(columns))]
