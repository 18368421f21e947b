"""Join columns of cells into the lines of a CSV file with a compiled kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.fast.timestamps import format_instants_ascii

_COMMA, _NEWLINE = ord(","), ord("\n")


@dataclass(frozen=True, slots=True)
class CellColumn:
    """A column of n cells. Each cell is a slice of `data`, and is written unchanged."""

    data: NDArray[np.uint8]
    cell_starts: NDArray[np.int64]
    """Shape (n,). Index in `data` of each cell's first byte."""
    cell_ends: NDArray[np.int64]
    """Shape (n,). Index in `data` after each cell's last byte."""

    def blank_other_rows(self, mask: NDArray[np.bool_]) -> "CellColumn":
        """Return the column with an empty cell in each row that `mask` (n,) excludes."""
        return replace(self, cell_ends=np.where(mask, self.cell_ends, self.cell_starts))


def number_cells(column: NDArray[np.float64] | NDArray[np.int64]) -> CellColumn:
    """Return a column of finite numbers (n,). Parsing a cell gives exactly the same number."""
    if len(column) == 0:
        return text_cells([], np.empty(0, dtype=np.int64))
    data = np.frombuffer(msgspec.json.encode(column.tolist()), dtype=np.uint8)
    commas = np.flatnonzero(data == _COMMA)
    return CellColumn(data, np.concatenate([[0], commas]) + 1, np.append(commas, len(data) - 1))


def time_cells(microseconds: NDArray[np.int64]) -> CellColumn:
    """Return a column of RFC 3339 times. `microseconds` (n,): times in microseconds UTC."""
    characters, lengths = format_instants_ascii(microseconds)
    cell_starts = np.arange(len(characters), dtype=np.int64) * characters.shape[1]
    return CellColumn(characters.ravel(), cell_starts, cell_starts + lengths)


def text_cells(texts: Sequence[str], codes: NDArray[np.integer]) -> CellColumn:
    """Return a column of texts. `codes` (n,): for each row, the index of its text in `texts`.

    A lone surrogate is written as an escape sequence.
    """
    encoded_texts = [text.encode(errors="backslashreplace") for text in texts]
    cell_ends = np.cumsum([0, *map(len, encoded_texts)])
    data = np.frombuffer(b"".join(encoded_texts), dtype=np.uint8)
    return CellColumn(data, cell_ends[codes], cell_ends[1:][codes])


def join_lines(columns: Sequence[CellColumn]) -> NDArray[np.uint8]:
    """Return the bytes of all lines. Commas separate the cells, and a newline ends each line."""
    data_starts = np.cumsum([0, *(len(column.data) for column in columns)])
    columns_with_starts = list(zip(columns, data_starts.tolist(), strict=False))
    cell_starts = np.stack([column.cell_starts + start for column, start in columns_with_starts])
    cell_ends = np.stack([column.cell_ends + start for column, start in columns_with_starts])
    line_bytes = np.empty(int((cell_ends - cell_starts).sum()) + cell_starts.size, dtype=np.uint8)
    _join(np.concatenate([column.data for column in columns]), cell_starts, cell_ends, line_bytes)
    return line_bytes


@kernel
def _join(data, cell_starts, cell_ends, line_bytes):  # type: ignore[no-untyped-def]
    position = 0
    for row in range(cell_starts.shape[1]):
        for column in range(len(cell_starts)):
            for source_index in range(cell_starts[column, row], cell_ends[column, row]):
                line_bytes[position] = data[source_index]
                position += 1
            line_bytes[position] = _COMMA
            position += 1
        line_bytes[position - 1] = _NEWLINE
