"""The position of a row in its stream: the position of its record and its index in the record.

The position of a record is its offset. If a record contains a single row, the row has the position
of the record. A row in an array has a larger number, from the position of the record and the index
of the row in the array. So one integer identifies a row in the memory, in episodes and in event
ids.
"""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.rows.row_arrays import MAX_ROWS_PER_RECORD

_ROW_BITS = 14
_ROW_IN_ARRAY = 1 << 62
"""Bit that marks the positions of rows in arrays. Offsets of a topic are always smaller."""
assert MAX_ROWS_PER_RECORD <= 1 << _ROW_BITS


def row_positions(record_positions: NDArray[np.int64], readings: Readings) -> NDArray[np.int64]:
    """Return the position (n,) of each of n readings in their stream.

    `record_positions`: shape (records,), the position of each record.
    """
    positions: NDArray[np.int64] = record_positions[readings.index]
    if readings.row_in_record is None:
        return positions
    is_in_array = readings.row_in_record != WHOLE_RECORD
    array_positions = (positions << _ROW_BITS) | readings.row_in_record | _ROW_IN_ARRAY
    return np.where(is_in_array, array_positions, positions)


def split_row_positions(
    positions: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the position of each row's record (n,), and the row's index in its array (n,).

    The index is WHOLE_RECORD if the record is not an array.

    >>> [column.tolist() for column in split_row_positions(np.asarray([17]))]
    [[17], [-1]]
    """
    is_in_array = positions >= _ROW_IN_ARRAY
    bits = positions ^ _ROW_IN_ARRAY
    record_positions = np.where(is_in_array, bits >> _ROW_BITS, positions)
    return record_positions, np.where(is_in_array, bits & ((1 << _ROW_BITS) - 1), WHOLE_RECORD)
