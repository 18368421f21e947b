"""Columns of texts, such as the cells of a CSV file, which a compiled kernel joins row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.fast.number_text import (
    POWERS_OF_TEN,
    TEXT_BYTES,
    write_floats,
    write_integers,
)
from sensorwatch.common.rows.fast.timestamps import format_instants_ascii

Numbers = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of n texts. Each text is a slice of `data`, and is written unchanged."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    """Shape (n,). Index in `data` of each text's first byte."""
    ends: NDArray[np.int64]
    """Shape (n,). Index in `data` after each text's last byte."""

    def blank_other_rows(self, mask: NDArray[np.bool_]) -> "TextColumn":
        """Return the column with an empty text in each row that `mask` (n,) excludes."""
        return replace(self, ends=np.where(mask, self.ends, self.starts))

    def to_list(self) -> list[bytes]:
        """Return the n texts."""
        data = self.data.tobytes()
        bounds = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [data[start:end] for start, end in bounds]


def number_texts(
    columns: Sequence[Numbers], *, row_executor: RowExecutor = run_serially
) -> list[TextColumn]:
    """Return the texts of columns of numbers, each of shape (n,), all float64 or all int64.

    Parsing a text gives exactly the same number. A number that is not finite is `null`.
    """
    if not columns:
        return []
    values = np.stack(columns)
    texts = np.empty((*values.shape, TEXT_BYTES), dtype=np.uint8)
    lengths = np.empty(values.shape, dtype=np.int64)

    def write(begin: int, end: int) -> None:
        if values.dtype == np.float64:
            write_floats(values, begin, end, POWERS_OF_TEN, texts, lengths)
        else:
            write_integers(values, begin, end, texts, lengths)

    row_executor(write, values.shape[1])
    data = texts.ravel()
    starts = np.arange(0, len(data), TEXT_BYTES, dtype=np.int64).reshape(values.shape)
    return [TextColumn(data, *bounds) for bounds in zip(starts, starts + lengths, strict=True)]


def time_texts(microseconds: NDArray[np.int64]) -> TextColumn:
    """Return RFC 3339 texts of times (n,), in microseconds UTC."""
    characters, lengths = format_instants_ascii(microseconds)
    starts = np.arange(len(characters), dtype=np.int64) * characters.shape[1]
    return TextColumn(characters.ravel(), starts, starts + lengths)


def choice_texts(choices: Sequence[bytes], codes: NDArray[np.integer]) -> TextColumn:
    """Return for each row one of `choices`: `codes` (n,) has the indices of the choices."""
    ends = np.cumsum([0, *map(len, choices)])
    data = np.frombuffer(b"".join(choices), dtype=np.uint8)
    return TextColumn(data, ends[codes], ends[1:][codes])


def join_texts(
    columns: Sequence[TextColumn],
    literals: Sequence[bytes],
    *,
    row_executor: RowExecutor = run_serially,
) -> TextColumn:
    """Return for each row the texts of all columns, joined by literals that all rows share.

    `columns`: at least one. `literals`: the text before each column, and the text after the last
    column.
    """
    # Columns that share their data, such as the numbers, are copied only once.
    data_by_id = {id(column.data): column.data for column in columns}
    data_starts = dict(
        zip(data_by_id, np.cumsum([0, *map(len, data_by_id.values())]).tolist(), strict=False)
    )
    offsets = [data_starts[id(column.data)] for column in columns]
    starts = np.stack([column.starts for column in columns], axis=1) + offsets
    ends = np.stack([column.ends for column in columns], axis=1) + offsets
    data = np.concatenate(list(data_by_id.values()))
    literal_data = np.frombuffer(b"".join(literals), dtype=np.uint8)
    literal_ends = np.cumsum(list(map(len, literals)))
    row_bounds = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum((ends - starts).sum(axis=1) + len(literal_data), out=row_bounds[1:])
    joined = np.empty(int(row_bounds[-1]), dtype=np.uint8)
    row_executor(
        lambda begin, end: _join(
            begin, end, data, starts, ends, literal_data, literal_ends, row_bounds, joined
        ),
        len(starts),
    )
    return TextColumn(joined, row_bounds[:-1], row_bounds[1:])


@kernel
def _join(  # type: ignore[no-untyped-def]
    begin, end, data, starts, ends, literal_data, literal_ends, row_bounds, joined
):
    for row in range(begin, end):
        position, literal_start = row_bounds[row], 0
        for column in range(starts.shape[1]):
            position = _copy(literal_data, literal_start, literal_ends[column], joined, position)
            literal_start = literal_ends[column]
            position = _copy(data, starts[row, column], ends[row, column], joined, position)
        _copy(literal_data, literal_start, literal_ends[-1], joined, position)


@inlined_kernel
def _copy(source, start, end, target, position):  # type: ignore[no-untyped-def]
    """Copy source[start:end] to `target` at `position`; return the position after it."""
    for i in range(end - start):
        target[np.uint64(position + i)] = source[np.uint64(start + i)]
    return position + end - start
