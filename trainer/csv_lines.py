"""Columns of cells to the lines of a CSV table, many at a time, compiled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.fast.timestamp_texts import format_instants_ascii

_COMMA, _NEWLINE = ord(","), ord("\n")


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of n cells, each a stretch of the same bytes; they are written as they stand."""

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    """(n,) where each cell begins in `data`."""
    ends: NDArray[np.int64]
    """(n,) where each cell ends in `data`."""

    def keep_where(self, mask: NDArray[np.bool_]) -> "Cells":
        """Leave the cells empty that are not kept (n,)."""
        return replace(self, ends=np.where(mask, self.ends, self.begins))


def number_cells(column: NDArray[np.float64] | NDArray[np.int64]) -> Cells:
    """Write finite numbers (n,) so that they read back to the same bits."""
    if len(column) == 0:
        return text_cells([], np.empty(0, dtype=np.int64))
    data = np.frombuffer(msgspec.json.encode(column.tolist()), dtype=np.uint8)
    commas = np.flatnonzero(data == _COMMA)
    return Cells(data, np.concatenate([[0], commas]) + 1, np.append(commas, len(data) - 1))


def instants(microseconds: NDArray[np.int64]) -> Cells:
    """Write instants (n,) as RFC 3339."""
    characters, lengths = format_instants_ascii(microseconds)
    begins = np.arange(len(characters), dtype=np.int64) * characters.shape[1]
    return Cells(characters.ravel(), begins, begins + lengths)


def text_cells(texts: Sequence[str], codes: NDArray[np.integer]) -> Cells:
    """Write of each row the text at its position (n,) in `texts`; a lone surrogate as an escape."""
    written = [text.encode(errors="backslashreplace") for text in texts]
    ends = np.cumsum([0, *map(len, written)])
    data = np.frombuffer(b"".join(written), dtype=np.uint8)
    return Cells(data, ends[codes], ends[1:][codes])


def join_lines(columns: Sequence[Cells]) -> NDArray[np.uint8]:
    """Join the columns' cells row by row: with commas, and a newline after each row."""
    data_offsets = np.cumsum([0, *(len(column.data) for column in columns)])
    starts = list(zip(columns, data_offsets.tolist(), strict=False))
    begins = np.stack([column.begins + start for column, start in starts])
    ends = np.stack([column.ends + start for column, start in starts])
    out = np.empty(int((ends - begins).sum()) + begins.size, dtype=np.uint8)
    _join(np.concatenate([column.data for column in columns]), begins, ends, out)
    return out


@kernel
def _join(data, begins, ends, out):  # type: ignore[no-untyped-def]
    position = 0
    for row in range(begins.shape[1]):
        for column in range(len(begins)):
            for source_index in range(begins[column, row], ends[column, row]):
                out[position] = data[source_index]
                position += 1
            out[position] = _COMMA
            position += 1
        out[position - 1] = _NEWLINE
