"""Kernel that assigns a number to each distinct sensor id."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.readings import DEFAULT_SENSOR

_MAX_PROBES_PER_ROW = 16
"""Limit on hash table probes per row; only ids that were chosen to collide need more."""
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits
_FOLD_BITS = np.uint64(32)


def number_sensors(
    text: bytes, start: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number sensor ids in the order of their first appearance.

    `start` and `length`: shape (n,), the byte range of each row's id in `text`. A negative length
    means the default sensor. Returns the number (n,) of each row's id, and the ids in the order
    of their numbers.
    """
    is_default = length < 0
    if len(start) and np.all(is_default):
        return np.zeros(len(start), dtype=np.int32), (DEFAULT_SENSOR,)
    if np.any(is_default):
        # Other rows may contain the default sensor's id, so these rows get the id as text, too.
        start = np.where(is_default, len(text), start)
        length = np.where(is_default, len(DEFAULT_SENSOR), length)
        text += DEFAULT_SENSOR.encode()
    data = np.frombuffer(text, dtype=np.uint8)
    id_number = np.empty(len(start), dtype=np.int32)
    first_row = np.empty(len(start), dtype=np.int64)
    hash_table = np.full(1 << (2 * len(start)).bit_length(), -1, dtype=np.int32)
    id_count = _number_kernel(data, start, length, hash_table, id_number, first_row)
    if id_count < 0:
        return _number_by_dict(text, start, length)
    first_row = first_row[:id_count]
    return id_number, tuple(_decode_ids(text, start[first_row], length[first_row]))


@inlined_kernel
def may_be_whole_number(data, start, end):  # type: ignore[no-untyped-def]
    """Return whether an id may be a whole number with a fraction, such as 17.0.

    Such an id has another form (17), which only the strict parser writes.
    """
    if end - start < 3 or data[end - 1] != 48 or not (48 <= data[start] <= 57 or data[start] == 45):
        return False
    for position in range(start + 1, end - 1):
        if data[position] == 46:
            return True
    return False


def _number_by_dict(
    text: bytes, start: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number the ids with a dict, whose hashes cannot be predicted outside this process."""
    number_of_id: dict[str, int] = {}
    id_numbers = [
        number_of_id.setdefault(sensor_id, len(number_of_id))
        for sensor_id in _decode_ids(text, start, length)
    ]
    return np.asarray(id_numbers, dtype=np.int32), tuple(number_of_id)


def _decode_ids(text: bytes, start: NDArray[np.int64], length: NDArray[np.int64]) -> Iterator[str]:
    for begin, size in zip(start.tolist(), length.tolist(), strict=True):
        yield text[begin : begin + size].decode()


@kernel
def _number_kernel(data, start, length, hash_table, id_number, first_row):  # type: ignore[no-untyped-def]
    """Write the id number of each row and the first row of each id; return the number of ids.

    Returns -1 if the search in the hash table needs too many probes.
    """
    index_mask = np.int64(len(hash_table) - 1)
    id_count, probes, max_probes = 0, 0, _MAX_PROBES_PER_ROW * len(start)
    for row in range(len(start)):
        position = np.int64(_hash_id(data, start[row], length[row])) & index_mask
        while hash_table[position] >= 0 and not _is_same_id(
            data, start, length, first_row[hash_table[position]], row
        ):
            position = (position + 1) & index_mask
            probes += 1
        if probes > max_probes:
            return -1
        if hash_table[position] < 0:
            hash_table[position] = id_count
            first_row[id_count] = row
            id_count += 1
        id_number[row] = hash_table[position]
    return id_count


@inlined_kernel
def _hash_id(data, start, length):  # type: ignore[no-untyped-def]
    hash_value = _FNV_OFFSET
    for position in range(start, start + length):
        hash_value = (hash_value ^ np.uint64(data[position])) * _FNV_PRIME
    return (hash_value ^ (hash_value >> _FOLD_BITS)) & np.uint64(0x7FFFFFFF)


@inlined_kernel
def _is_same_id(data, start, length, row_a, row_b):  # type: ignore[no-untyped-def]
    if length[row_a] != length[row_b]:
        return False
    for position in range(length[row_a]):
        if data[start[row_a] + position] != data[start[row_b] + position]:
            return False
    return True
